"""Who keeps the system busy: clients that start programs, and people and systems that answer what those wait for."""

import itertools
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.client import Caller, CutOff, History, Offered, Unheard, start_run
from tests.faults.definition import definition_of
from tests.faults.prediction import Inputs
from tests.faults.programs import EVENT, EVENT_VALUE, LANES, Program

ANSWER_SECONDS = 0.4  # between two rounds of answers
IMPATIENT_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A program and the workflow that it became."""

    program: Program
    workflow: str


def store(caller: Caller, program: Program) -> Stored:
    """Save a program and the programs that it starts."""
    children = {node.id: store(caller, node.child).workflow for node in program.nodes if node.child is not None}
    body = {"name": f"program {program.seed}", "definition": definition_of(program, children)}
    answer = caller.ask("POST", "/v1/workflows", body)
    assert answer.status == 201, f"the program of seed {program.seed} is refused: {answer.body}"
    return Stored(program=program, workflow=answer.data["id"])


class Load:
    """Clients that start one program after the other, at a rate, until they are told to stop."""

    def __init__(
        self, port: int, programs: Sequence[Stored], *, name: str, rate: float, patience: float, clients: int = 6
    ) -> None:
        self.history = History()
        self.programs = programs
        self._port = port
        self._name = name
        self._pause = clients / rate
        self._patience = patience
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]
        self._threads += [threading.Thread(target=self._answer, daemon=True)]
        self._answering = True

    def inputs(self, number: int) -> Inputs:
        return Inputs(token=f"{self._name}-{number}", lane=number % LANES, x=number)

    def stored(self, number: int) -> Stored:
        return self.programs[number % len(self.programs)]

    def _patience_of(self, number: int) -> float:
        """A call that dies with its server leaves its key locked for half a minute: not every client waits so long."""
        return self._patience if number % 3 == 0 else min(self._patience, IMPATIENT_SECONDS)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No run is started any more; what waits is still answered."""
        self._stop.set()
        for thread in self._threads[:-1]:
            thread.join(self._patience + 60)

    def end(self) -> None:
        self.stop()
        self._answering = False
        self._threads[-1].join(60)

    def _client(self) -> None:
        caller = Caller(self._port)
        while not self._stop.is_set():
            with self._lock:
                number = next(self._numbers)
            began = time.monotonic()
            inputs = self.inputs(number)
            body = {"inputs": inputs.as_json()}
            word, run_id, statuses = start_run(
                caller,
                self.stored(number).workflow,
                body,
                patience=self._patience_of(number),
                stopped=self._stop.is_set,
            )
            took = time.monotonic() - began
            self.history.add(
                Offered(
                    token=inputs.token,
                    number=number,
                    word=word,
                    run_id=run_id,
                    asked=len(statuses),
                    seconds=took,
                    statuses=statuses,
                )
            )
            self._stop.wait(max(0.0, self._pause - took))
        caller.close()

    def _answer(self) -> None:
        """Decide what waits for a decision, tell what waits for an event; whatever fails is done in the next round."""
        caller = Caller(self._port)
        while self._answering:
            try:
                self._decide(caller)
                self._tell(caller)
            except (Unheard, CutOff, KeyError, TypeError):
                pass  # nobody there, or a problem in place of data
            time.sleep(ANSWER_SECONDS)
        caller.close()

    def _decide(self, caller: Caller) -> None:
        for each in caller.ask("GET", "/v1/approvals?limit=100").data:
            action = "approve" if each["title"] == "approved" else "reject"
            caller.ask("POST", f"/v1/runs/{each['run_id']}/steps/{each['step_id']}:{action}", {"data": {}})

    def _tell(self, caller: Caller) -> None:
        for lane in range(LANES):
            payload = {"lane": lane, "value": EVENT_VALUE + lane}
            body = {"event": EVENT, "payload": payload, "dedupe_key": uuid.uuid4().hex}
            caller.ask("POST", "/v1/events", body)
