"""flowforge.events.schemas: one catalogue. That what the writers write fits it: tests/apps/runs."""

import pytest

from flowforge.core.jsonschema import compile_schema
from flowforge.events import schemas
from flowforge.events.schemas import RUN_EVENTS

RUN_NAMES = ["created", "started", "waiting", "paused", "resumed", "retried", "completed", "failed", "cancelled"]
STEP_NAMES = ["started", "completed", "failed", "retrying", "waiting", "skipped", "cancelled", "log"]
NAMES = [*(f"run.{name}" for name in RUN_NAMES), *(f"step.{name}" for name in STEP_NAMES)]
ERROR = {"code": "timeout", "message": "late"}


def faults_of(name, data):
    return [(fault.pointer, fault.code) for fault in compile_schema(RUN_EVENTS[name].schema).faults(data)]


def test_it_works():
    """The names of the contract, each once, each a constant of the module."""
    assert list(RUN_EVENTS) == NAMES
    constants = {
        value
        for name, value in vars(schemas).items()
        if name.startswith(("RUN_", "STEP_")) and name.isupper() and isinstance(value, str)
    }
    assert constants == set(NAMES)
    assert {name for name, kind in RUN_EVENTS.items() if kind.of_step} == {n for n in NAMES if n.startswith("step.")}


@pytest.mark.parametrize(
    ("name", "data", "faults"),
    [
        ("run.created", {"status": "pending"}, [("/trigger", "required")]),
        ("run.created", {"status": "pending", "trigger": {"type": "api", "id": 3}}, [("/trigger/id", "type")]),
        ("run.started", {"status": "begun"}, [("/status", "enum")]),
        ("run.failed", {"status": "failed"}, [("/error", "required")]),
        ("run.failed", {"status": "failed", "error": {"code": "x"}}, [("/error/message", "required")]),
        ("step.started", {"node_id": "a"}, [("/attempt", "required")]),
        ("step.failed", {"node_id": "a", "attempt": 1}, [("/error", "required")]),
        ("step.log", {"node_id": "a", "level": "loud", "message": "x"}, [("/level", "enum")]),
    ],
)
def test_it_rejects(name, data, faults):
    assert faults_of(name, data) == faults


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("run.created", {"status": "pending", "trigger": {"type": "api", "id": None}}),
        ("run.resumed", {"status": "running", "reason": "paused"}),
        ("run.failed", {"status": "failed", "error": {**ERROR, "step": "a", "details": ERROR}}),
        ("step.skipped", {"node_id": "a", "attempt": 0, "reason": "when"}),
        ("step.log", {"node_id": "a", "level": "info", "message": ""}),
        ("run.started", {"status": "running", "more": "readers ignore what they don't know"}),
    ],
)
def test_what_fits(name, data):
    assert faults_of(name, data) == []
