"""The trace of what is being done now: W3C Trace Context (https://www.w3.org/TR/trace-context/), level 1.

A context variable, so that logs, runs and outgoing calls find it without being told.
"""

import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

# ids have to be unique, not secret: a generator of ours costs no system call. Each process seeds its own.
_ids = random.Random()  # noqa: S311  see above
os.register_at_fork(after_in_child=_ids.seed)

_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: which trace, and the span that is open."""

    trace_id: str  # 32 lower-case hex digits
    span_id: str  # 16 lower-case hex digits
    flags: str = "01"  # two hex digits; 01: sampled

    @property
    def traceparent(self) -> str:
        """The header that carries this place to whom we call."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[Trace | None] = ContextVar("flowforge_trace", default=None)


def parse(traceparent: str) -> Trace | None:
    """Read a `traceparent` header; None if it isn't valid, which means: begin a new trace."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Trace(trace_id, span_id, flags)


def begin(traceparent: str | None = None) -> Trace:
    """A fresh span: in the trace of `traceparent` if that is valid, else in a new trace."""
    parent = parse(traceparent) if traceparent else None
    if parent is None:
        return Trace(_fresh(128), _fresh(64))
    return Trace(parent.trace_id, _fresh(64), parent.flags)


def _fresh(bits: int) -> str:
    """So many random bits in hex digits; not all of them zero, which W3C forbids."""
    return f"{_ids.getrandbits(bits) or 1:0{bits // 4}x}"


def current() -> Trace | None:
    """Where we are, if anywhere."""
    return _current.get()


def current_or_new() -> Trace:
    """Where we are; outside of any trace a new one (which isn't set)."""
    return _current.get() or begin()


@contextmanager
def using(trace: Trace) -> Iterator[Trace]:
    """Be in `trace` for the block."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
