"""F19: more than the system can carry, for a few seconds. It may refuse, in words; what it accepts, it carries."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

from tests.faults.client import Caller, CutOff, Unheard
from tests.faults.trials import Bench, noted
from tests.support.service import until

CALLERS = 4  # enough to fill it: each asks again as soon as it was answered
TIMES = 5
MEASURED_SECONDS = 2.0
OVERLOAD_SECONDS = 4.0
DONE_SECONDS = 240.0
POLITE = frozenset((200, 202, 429, 503))


class Crowd:
    """Callers who start runs without a pause."""

    def __init__(self, port: int, workflow: str) -> None:
        self._port, self._path = port, f"/v1/workflows/{workflow}:run"
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
                answer = caller.ask("POST", self._path, {})
            except (CutOff, Unheard) as error:
                told, run_id = type(error).__name__, None
            else:
                told, run_id = str(answer.status), answer.data["id"] if answer.status in (200, 202) else None
            with self._lock:
                self.answers[told] += 1
                if run_id is not None:
                    self.accepted.add(run_id)
        caller.close()


def overloaded(bench: Bench) -> Iterator[str]:
    """Five times the callers that fill it."""
    crowd = Crowd(bench.world.site.port, bench.store(noted("a"), noted("b")))
    alone = crowd.press(CALLERS, MEASURED_SECONDS)
    crowded = crowd.press(CALLERS * TIMES, OVERLOAD_SECONDS)
    bench.accepted += len(crowd.accepted)
    bench.world.tally["runs offered in overload"] += crowd.answers.total()
    print(
        f"    {CALLERS} callers: {alone:.0f} runs/s accepted; {CALLERS * TIMES}: {crowded:.0f}; {dict(crowd.answers)}"
    )
    rude = {told: count for told, count in crowd.answers.items() if not told.isdigit() or int(told) not in POLITE}
    if rude:
        yield f"under overload it answered {rude}"

    def all_ended() -> bool:
        [(live,)] = bench.world.query("SELECT count(*) FROM runs_run WHERE finished_at IS NULL")
        return not live

    until(all_ended, DONE_SECONDS, "all that was accepted ends")
    ended = {row[0].hex if hasattr(row[0], "hex") else row[0] for row in bench.world.query(COMPLETED)}
    missing = len({run_id.replace("-", "") for run_id in crowd.accepted} - ended)
    if missing:
        yield f"{missing} runs that were accepted did not complete"


COMPLETED = "SELECT id FROM runs_run WHERE status = 'completed'"
