"""What several threads ask at a time is asked once: of those that wait, one asks for all.

Each question by itself would wait for the locks, and for the disk, of all that were asked before it.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Q, A]):
    asked: Q
    turn: threading.Event = field(default_factory=threading.Event)  # answered, or to ask for all that wait by now
    answer: A | None = None
    error: BaseException | None = None
    is_answered: bool = False


class Shared(Generic[Q, A]):
    """Call it from any thread. `ask` takes what is asked by then, the longest waiting first, and gives an answer to
    each; what it raises is raised by all that have asked."""

    def __init__(self, ask: Callable[[Sequence[Q]], Sequence[A]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[Q, A]] = []
        self._is_asking = False

    def __call__(self, asked: Q) -> A:
        ticket: _Ticket[Q, A] = _Ticket(asked)
        with self._lock:
            self._waiting.append(ticket)
            must_wait, self._is_asking = self._is_asking, True
        if must_wait:
            ticket.turn.wait()
        if not ticket.is_answered:
            self._ask_for_all()
        if ticket.error is not None:
            raise ticket.error
        return ticket.answer  # type: ignore[return-value]  # answered, and not with an error

    def _ask_for_all(self) -> None:
        with self._lock:
            tickets, self._waiting = self._waiting, []
        try:
            answers = self._ask([ticket.asked for ticket in tickets])
            for ticket, answer in zip(tickets, answers, strict=True):
                ticket.answer = answer
        except BaseException as error:  # noqa: BLE001  raised by each that has asked, this thread among them
            for ticket in tickets:
                ticket.error = error
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._is_asking = following is not None
        for ticket in tickets:
            ticket.is_answered = True
            ticket.turn.set()
        if following is not None:
            following.turn.set()
