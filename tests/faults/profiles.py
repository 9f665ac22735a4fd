"""Which scenarios there are, on which stacks, and how many of each a profile runs."""

from collections.abc import Sequence
from typing import Protocol

from tests.faults import nemesis, overload, races, trials
from tests.faults.disk import FullDisk
from tests.faults.judge import Verdict
from tests.faults.nemesis import fail_at, hold_up_worker, kill_at
from tests.faults.scenarios import Scenario
from tests.faults.soak import Soak
from tests.faults.trials import Trial
from tests.faults.world import StackName, World

LEASES_OVER = 20.0  # seconds; a lease lasts 8

# places where all that is in hand is lost with the process, and places where a stumble or a pause is tried
KILLED_AT = (
    *("accept.before_commit", "accept.after_commit", "bell.before_ring", "bell.after_ring", "drive.after_claim"),
    *("claim.after", "step.before_effect", "step.after_effect", "result.before_commit", "result.after_commit"),
    *("commit.before", "commit.after", "map.before_gather", "child.after_start", "event.after_store"),
    *("run.before_terminal", "run.after_terminal", "sweep.after_take", "lease.before_renew"),
)


class Playable(Protocol):
    """What can be run: a scenario, or something of its own kind."""

    name: str
    faults: str

    def run(self, world: World, seed: int) -> Verdict: ...


def smoke(stack: StackName) -> list[Playable]:
    """A little of everything, in under a minute a stack."""
    kills = [nemesis.kill_worker, kill_at("step.after_effect"), kill_at("commit.after")]
    if stack == "rabbitmq":
        strikes = [nemesis.cut_rabbitmq, nemesis.delete_queues]
        return [Scenario(name="rabbitmq", faults="F7", strikes=strikes, expected={"broker connections cut": 1})]
    if stack == "embedded":
        strikes = [*kills, fail_at("result.before_commit", "raise"), kill_at("accept.after_commit")]
        return [
            Scenario(name="calm", faults="none", seconds=2, programs=12),
            Scenario(name="smoke", faults="F2 F4 F10 F11", strikes=strikes, expected={"kills": 1}),
        ]
    strikes = [
        nemesis.kill_worker,
        nemesis.flush_valkey,
        nemesis.terminate_sessions,
        nemesis.restart_postgres,
        kill_at("result.before_commit"),
        nemesis.kill_valkey,
        kill_at("accept.after_commit"),
    ]
    least = {"kills": 1, "broker flushes": 1, "database restarts": 1, "broker restarts": 1}
    return [Scenario(name="smoke", faults="F2 F4 F5 F6 F10 F11", strikes=strikes, expected=least)]


def standard(stack: StackName) -> list[Playable]:
    if stack == "rabbitmq":
        strikes = [nemesis.cut_rabbitmq, nemesis.delete_queues] * 5
        return [Scenario(name="rabbitmq", faults="F7", strikes=strikes, expected={"broker connections cut": 5})]
    found: list[Playable] = [
        Scenario(name="calm", faults="none", seconds=8, programs=24),
        Scenario(name="workers killed", faults="F2", strikes=[nemesis.kill_worker] * 4, rate=4, expected={"kills": 4}),
        Scenario(name="killed at failpoints", faults="F10 F11", strikes=[kill_at(name) for name in KILLED_AT], rate=4),
        Scenario(name="raised at failpoints", faults="F11", strikes=_each("raise"), pause=(0.1, 0.4)),
        Scenario(name="slow at failpoints", faults="F11", strikes=_each("sleep=0.6"), pause=(0.1, 0.4)),
        Scenario(name="hints doubled", faults="F8", hints="copies=3", seconds=12, expected={"hints doubled": 300}),
        Scenario(name="hints lost", faults="F9", hints="drop=0.3", seconds=8, expected={"hints dropped": 50}),
        Scenario(name="all hints lost", faults="F9", hints="drop=1", seconds=8, rate=3),
        Scenario(name="gentle restarts", faults="F20", strikes=[nemesis.restart_gently], rate=4),
        Trial(name="step processes killed", faults="F1", body=trials.step_processes_killed),
        Trial(name="changed under way", faults="F21", body=trials.changed_under_way),
        Trial(name="hangs", faults="F15", body=trials.hangs),
        Trial(name="cancel or finish", faults="F23", body=races.cancel_or_finish),
        Trial(name="approve or reject", faults="F23", body=races.approve_or_reject),
        Trial(name="retry or cancel", faults="F23", body=races.retry_or_cancel),
        Trial(name="poison", faults="F14", body=trials.poison),
    ]
    return found + (_fleet() if stack == "fleet" else _embedded())


def _embedded() -> list[Playable]:
    held = [nemesis.hold_sqlite(6)] * 2
    return [
        Scenario(name="database held", faults="F17", strikes=held, expected={"database locked": 2}),
        FullDisk(name="disk full", faults="F16", cycles=5),
        Trial(name="overload", faults="F19", body=overload.overloaded),
        Trial(name="too many calls", faults="F19", body=overload.limited),
    ]


def _each(action: str) -> Sequence[nemesis.Strike]:
    return [fail_at(name, action) for name in KILLED_AT]


def _fleet() -> list[Playable]:
    broker = [
        *(nemesis.kill_valkey, nemesis.flush_valkey, nemesis.cut_valkey, nemesis.pause_valkey),
        *(nemesis.freeze_valkey, nemesis.flush_valkey, nemesis.kill_valkey, nemesis.cut_valkey),
    ]
    return [
        Scenario(name="web killed", faults="F4", strikes=[nemesis.kill_web] * 3, expected={"kills": 3}),
        Scenario(name="everything killed", faults="F2", strikes=[nemesis.kill_all] * 2, expected={"kills": 6}),
        Scenario(name="a zombie", faults="F3", strikes=[hold_up_worker(LEASES_OVER)] * 2),
        Scenario(
            name="database restarts",
            faults="F5",
            strikes=[nemesis.restart_postgres] * 3,
            expected={"database restarts": 3},
        ),
        Scenario(
            name="database sessions ended",
            faults="F5",
            strikes=[nemesis.terminate_sessions] * 15,
            expected={"database sessions ended": 30},
        ),
        Scenario(name="broker trouble", faults="F6", strikes=broker, pause=(1, 2), expected={"broker flushes": 2}),
        Scenario(name="clocks off", faults="F13", clocks={"worker-1": 600.0, "worker-2": -600.0}, seconds=10),
    ]


def soak(minutes: float) -> list[Playable]:
    """Hours of steady work on one stack."""
    return [Soak(name="soak", faults="F24", minutes=minutes)]


SOAK_MINUTES = 240.0
PROFILES = {"smoke": smoke, "standard": standard}
STACKS: tuple[StackName, ...] = ("embedded", "fleet", "rabbitmq")
