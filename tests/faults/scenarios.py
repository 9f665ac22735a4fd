"""A scenario: programs under load, strikes one after the other, quiet, judgement."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults import load as loads
from tests.faults import world as worlds
from tests.faults.judge import Judge, Verdict, compare_counts, compare_with_api
from tests.faults.nemesis import Strike
from tests.faults.programs import draw
from tests.faults.world import World
from tests.support.invariants import read

STUCK_SECONDS = 60.0  # without a run that ends
ACCEPTED_SHARE = 0.9  # of what is offered, where nothing strikes
LIVE = (
    "SELECT id, status, event_seq, lease_owner, lease_expires_at, wake_at, pokes FROM runs_run "
    "WHERE finished_at IS NULL"
)
LIVE_STEPS = (
    'SELECT run_id, node_id, "index", status, attempt, worker, available_at, lease_expires_at, waits_for '
    "FROM runs_steprun WHERE status NOT IN ('completed', 'failed', 'skipped', 'cancelled') ORDER BY run_id"
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One kind of trouble."""

    name: str
    faults: str  # of the plan: F1, F2 …
    strikes: Sequence[Strike] = ()
    pause: tuple[float, float] = (0.5, 1.5)  # seconds between strikes
    seconds: float = 3.0  # of load, at least
    rate: float = 8.0  # runs a second
    programs: int = 16  # different ones
    calm: bool = False  # without programs that wait for someone outside
    patience: float = 40.0  # of clients
    hints: str = ""  # what befalls them: tests/faults/launch.py
    clocks: dict[str, float] = field(default_factory=dict)  # role -> seconds that its clock is off
    expected: dict[str, int] = field(default_factory=dict)  # tally -> at least

    def run(self, world: World, seed: int) -> Verdict:
        """The world is healthy before and after."""
        return _play(world, self, seed)


class Stuck(AssertionError):
    """Runs that nobody moves."""


def _play(world: World, scenario: Scenario, seed: int) -> Verdict:
    before = Counter(world.tally)
    known = stored(world)
    world.chance = random.Random(f"{scenario.name} {seed}")
    _disturb(world, scenario)
    load = _load(world, scenario, seed)
    load.start()
    try:
        _strike(world, scenario)
        load.stop()
        world.arm("")
        world.heal()
        await_quiet(world)
    finally:
        load.end()
    verdict = judge_since(world, known, load)
    world.count_bells()
    _calm_down(world, scenario)
    _guard(world, scenario, verdict, world.tally - before)
    return verdict


def _disturb(world: World, scenario: Scenario) -> None:
    if scenario.clocks:
        world.by_role = {role: {"FAULTS_CLOCK_SECONDS": str(off)} for role, off in scenario.clocks.items()}
        world.restart(*scenario.clocks)
    if scenario.hints:
        world.disturb_hints(scenario.hints)


def _calm_down(world: World, scenario: Scenario) -> None:
    if scenario.clocks:
        world.by_role = {}
        world.restart(*scenario.clocks)
    if scenario.hints:
        world.disturb_hints("")


def _load(world: World, scenario: Scenario, seed: int) -> loads.Load:
    caller = world.caller()
    programs = [
        loads.store(caller, draw(seed * 1000 + number, calm=scenario.calm)) for number in range(scenario.programs)
    ]
    caller.close()
    name = f"{scenario.name}-{seed}-{time.monotonic_ns()}"
    return loads.Load(world.site.port, programs, name=name, rate=scenario.rate, patience=scenario.patience)


def _strike(world: World, scenario: Scenario) -> None:
    began = time.monotonic()
    time.sleep(1)
    for strike in scenario.strikes:
        strike(world)
        time.sleep(world.chance.uniform(*scenario.pause))
    time.sleep(max(0.0, scenario.seconds - (time.monotonic() - began)))


def await_quiet(world: World) -> None:
    """Until every run has ended. Raises Stuck, with all that is known, once none has for STUCK_SECONDS."""
    fewest, since = None, time.monotonic()
    while True:
        live = len(world.query("SELECT id FROM runs_run WHERE finished_at IS NULL"))
        if not live:
            return
        if fewest is None or live < fewest:
            fewest, since = live, time.monotonic()
        if time.monotonic() - since > STUCK_SECONDS:
            raise Stuck(_dump(world))
        time.sleep(0.1)


def _dump(world: World) -> str:
    parts = [f"{len(world.query(LIVE))} runs are stuck"]
    parts += [str(row) for row in world.query(LIVE)[:50] + world.query(LIVE_STEPS)[:200]]
    if world.postgres is not None:
        parts += [str(row) for row in world.query("SELECT pid, state, wait_event, query FROM pg_stat_activity")]
    if world.vhost:
        parts.append(worlds.rabbitmqctl_says("list_queues", "-p", world.vhost, "name", "consumers", "messages"))
    return "\n".join([*parts, world.stacks()])


def stored(world: World) -> set[str]:
    """The ids of all runs that there are."""
    return {worlds.row_id(row[0]) for row in world.query("SELECT id FROM runs_run")}


def judge_since(world: World, known: set[str], load: loads.Load | None = None) -> Verdict:
    """All that came after `known`; without a load, what clients were told and what was foretold is the caller's."""
    stories = [story for story in read(world.database) if story.run.id not in known]
    old = {effect for effect in world.effects() if worlds.row_id(effect.run) in known}
    verdict = Judge(stories, load, [each for each in world.effects() if each not in old], world.deaths).judge()
    caller = world.caller()
    if load is not None:
        verdict.violations += compare_with_api(caller, stories, load.history.having("ok"))
    verdict.violations += compare_counts(caller, read(world.database))
    caller.close()
    verdict.violations += leftovers(world)
    return verdict


def leftovers(world: World) -> list[str]:
    """I7: nothing is left behind."""
    worlds.alone(world)
    found = []
    if world.stack == "embedded":
        [(state,)] = world.query("PRAGMA integrity_check")
        found += [f"the database is corrupt: {state}"] if state != "ok" else []
    if world.postgres is not None:
        idle = world.query(
            "SELECT pid, query FROM pg_stat_activity WHERE state = 'idle in transaction' "
            "AND application_name = 'flowforge' AND now() - state_change > interval '2 seconds'"
        )
        found += [f"a session is idle in a transaction: {row}" for row in idle]
    counted = world.query("SELECT coalesce(sum(count), 0) FROM runs_failuregroup")[0][0]
    told = world.query("SELECT count(*) FROM runs_runevent WHERE event = 'run.failed'")[0][0]
    if counted != told:
        found.append(f"groups of failures count {counted}, the history tells of {told}")
    return found


def _guard(world: World, scenario: Scenario, verdict: Verdict, done: Counter[str]) -> None:
    """Against a pass that proves nothing."""
    counts = verdict.counts
    offered = counts["told ok"] + counts["told refused"] + counts["told unknown"]
    if not scenario.strikes and counts["told ok"] < ACCEPTED_SHARE * offered:
        verdict.violations.append(f"of {offered} runs offered without a fault {counts['told ok']} were accepted")
    if not counts["told ok"]:
        verdict.violations.append("no run was accepted: this proves nothing")
    if not scenario.strikes:
        again = counts["effects done again"] + counts["steps lost and taken over"]
        if again:
            verdict.violations.append(f"{again} effects done again or steps lost without a fault")
    for name, least in scenario.expected.items():
        if done[name] < least:
            verdict.violations.append(f"{name}: {done[name]} of {least} that were planned")
