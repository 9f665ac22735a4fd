"""F19: more than the system can carry, for a few seconds. It may refuse, in words; what it accepts, it carries."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

from tests.faults.client import Caller, CutOff, Unheard
from tests.faults.soak import memory_of
from tests.faults.trials import Bench, noted
from tests.support.service import until

CALLERS = 4  # enough to fill it: each asks again as soon as it was answered
TIMES = 5
MEASURED_SECONDS = 2.0
GROWTH = 0.3  # of memory, by all of it
BACKLOG = 400  # of a process that is told so: a backlog that a few seconds fill
LIMIT = 120  # runs a minute
OVERLOAD_SECONDS = 4.0
DONE_SECONDS = 240.0
POLITE = frozenset((200, 202, 429, 503))


class Crowd:
    """Callers who start runs without a pause."""

    def __init__(self, port: int, workflow: str) -> None:
        self._port, self.path = port, f"/v1/workflows/{workflow}:run"
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()  # status, or what befell the request
        self.accepted: set[str] = set()

    def press(self, callers: int, seconds: float) -> float:
        """Runs that were accepted a second."""
        before, stop_at = len(self.accepted), time.monotonic() + seconds
        threads = [threading.Thread(target=self._ask, args=[stop_at]) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (len(self.accepted) - before) / seconds

    def _ask(self, stop_at: float) -> None:
        caller = Caller(self._port)
        while time.monotonic() < stop_at:
            try:
                answer = caller.ask("POST", self.path, {})
            except (CutOff, Unheard) as error:
                told, run_id = type(error).__name__, None
            else:
                told, run_id = str(answer.status), answer.data["id"] if answer.status in (200, 202) else None
                if answer.status in (429, 503) and answer.retry_after is None:
                    told = f"{told} without Retry-After"
            with self._lock:
                self.answers[told] += 1
                if run_id is not None:
                    self.accepted.add(run_id)
        caller.close()

    def rudeness(self) -> Iterator[str]:
        rude = {told: count for told, count in self.answers.items() if not told.isdigit() or int(told) not in POLITE}
        if rude:
            yield f"under overload it answered {rude}"


def overloaded(bench: Bench) -> Iterator[str]:
    """Five times the callers that fill it."""
    crowd = Crowd(bench.world.site.port, bench.store(noted("a"), noted("b")))
    alone = crowd.press(CALLERS, MEASURED_SECONDS)
    _await_all(bench)
    before = memory_of(bench.world.processes[bench.world.web].pid)
    crowded = crowd.press(CALLERS * TIMES, OVERLOAD_SECONDS)
    bench.accepted += len(crowd.accepted)
    bench.world.tally["runs offered in overload"] += crowd.answers.total()
    print(
        f"    {CALLERS} callers: {alone:.0f} runs/s accepted; {CALLERS * TIMES}: {crowded:.0f}; {dict(crowd.answers)}"
    )
    yield from crowd.rudeness()
    _await_all(bench)
    after = memory_of(bench.world.processes[bench.world.web].pid)
    print(f"    memory before {before / 2**20:.0f} MiB, after {after / 2**20:.0f} MiB")
    if after > before * (1 + GROWTH):
        yield f"memory grew from {before:,} to {after:,} bytes under overload"
    ended = {row[0].hex if hasattr(row[0], "hex") else row[0] for row in bench.world.query(COMPLETED)}
    missing = len({run_id.replace("-", "") for run_id in crowd.accepted} - ended)
    if missing:
        yield f"{missing} runs that were accepted did not complete"


COMPLETED = "SELECT id FROM runs_run WHERE status = 'completed'"


def _await_all(bench: Bench) -> None:
    def all_ended() -> bool:
        [(live,)] = bench.world.query("SELECT count(*) FROM runs_run WHERE finished_at IS NULL")
        return not live

    until(all_ended, DONE_SECONDS, "all that was accepted ends")


def limited(bench: Bench) -> Iterator[str]:
    """More calls than the project may make are refused with 429, more runs than may wait with 503; all else is done."""
    yield from _too_many_calls(bench)
    yield from _too_much_waits(bench)


def _too_many_calls(bench: Bench) -> Iterator[str]:
    crowd = Crowd(bench.world.site.port, bench.store(noted("a")))
    project = bench.asked("GET", "/v1/projects").data[0]["id"]
    path = f"/v1/projects/{project}"
    bench.asked("PATCH", path, {"settings": {"rate_limits": {"runs": f"{LIMIT}/m"}}})
    try:
        until(lambda: _is_limited(bench, crowd), 10, "the limit holds")
        crowd.press(CALLERS, MEASURED_SECONDS)
    finally:
        bench.asked("PATCH", path, {"settings": {"rate_limits": None}})
        until(lambda: not _is_limited(bench, crowd), 10, "the limit is gone")
    bench.world.tally["calls refused with 429"] += crowd.answers["429"]
    bench.accepted += len(crowd.accepted)
    yield from crowd.rudeness()
    if not crowd.answers["429"] or len(crowd.accepted) > 2 * LIMIT:
        yield f"with {LIMIT} runs a minute it answered {dict(crowd.answers)}"
    _await_all(bench)


def _is_limited(bench: Bench, crowd: Crowd) -> bool:
    """A key's rights, its project's limits among them, are looked up once in a few seconds."""
    answer = bench.caller.ask("POST", crowd.path, {})
    if answer.status == 202:
        bench.accepted += 1
    return answer.limit == LIMIT


def _too_much_waits(bench: Bench) -> Iterator[str]:
    """Callers are faster than steps that take their time: the backlog fills, and starts are refused until there is
    room again."""
    world = bench.world
    world.by_role = {world.web: {"FLOWFORGE_MAX_BACKLOG": str(BACKLOG)}}
    _restart(bench)
    try:
        slow = noted("a", seconds=0.2)
        crowd = Crowd(world.site.port, bench.store(slow, noted("b")))
        deadline = time.monotonic() + 30
        while not crowd.answers["503"] and time.monotonic() < deadline:
            crowd.press(CALLERS * TIMES, MEASURED_SECONDS)
        yield from crowd.rudeness()
        if not crowd.answers["503"]:
            yield f"with room for {BACKLOG} runs it answered {dict(crowd.answers)}"
        world.tally["starts refused with 503"] += crowd.answers["503"]
        bench.accepted += len(crowd.accepted)
        _await_all(bench)
        time.sleep(1.5)
        run_id = bench.start(bench.store(noted("a")))
        if bench.ended(run_id)["status"] != "completed":
            yield "after the backlog was worked off a run did not complete"
    finally:
        world.by_role = {}
        _restart(bench)


def _restart(bench: Bench) -> None:
    """The web process, for a change of environment."""
    bench.world.restart(bench.world.web)
    bench.caller.close()
