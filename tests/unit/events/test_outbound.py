"""flowforge.events.outbound and asyncapi: names, patterns, and the document that tells of both."""

import pytest

from flowforge.core.jsonschema import compile_schema
from flowforge.events.asyncapi import document
from flowforge.events.outbound import TOLD, is_known_pattern, matches, names_of
from flowforge.events.schemas import RUN_EVENTS

CONTRACT = [
    *(f"workflow.{name}" for name in ("created", "started", "completed", "failed", "cancelled")),
    *(f"task.{name}" for name in ("started", "completed", "failed", "retrying")),
    *("approval.requested", "credential.expired", "alert.triggered"),
]


def test_it_works():
    assert set(CONTRACT) <= set(TOLD)
    assert set(RUN_EVENTS) - {"step.log"} <= set(TOLD)
    assert "step.log" not in TOLD


@pytest.mark.parametrize("name", sorted(TOLD))
def test_every_schema_is_one(name):
    assert compile_schema(TOLD[name].schema).faults(None)


@pytest.mark.parametrize(
    ("event", "data", "names"),
    [
        ("run.completed", {}, ("workflow.completed", "run.completed")),
        ("run.paused", {}, ("run.paused",)),
        ("step.waiting", {"waits_for": "approval"}, ("approval.requested", "step.waiting")),
        ("step.waiting", {"waits_for": "time"}, ("step.waiting",)),
        ("step.log", {}, ()),
        ("order.paid", {}, ("order.paid",)),
    ],
)
def test_names(event, data, names):
    assert tuple(names_of(event, data)) == names


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "anything", True),
        ("run.*", "run.completed", True),
        ("run.*", "running.x", False),
        ("order", "order.paid", False),
        ("order*", "order.paid", True),
        ("order.paid", "order.paid", True),
        ("order.paid", "order.paid.twice", False),
    ],
)
def test_patterns(pattern, name, expected):
    assert matches(pattern, name) is expected


@pytest.mark.parametrize("pattern", ["*", "run.*", "task.re*", "order.paid", "orders.*", "runs.x", "alert.triggered"])
def test_what_can_be_asked_for(pattern):
    assert is_known_pattern(pattern)


@pytest.mark.parametrize("pattern", ["workflow.finished", "task.x*", "run.log", "step.log", "alert.*x"])
def test_it_rejects_what_never_comes(pattern):
    assert not is_known_pattern(pattern)


def test_the_document_has_a_message_for_each_event():
    found = document()
    assert found["asyncapi"] == "3.0.0"
    messages = found["components"]["messages"]
    assert {f"delivery.{name}" for name in TOLD} | {f"history.{name}" for name in RUN_EVENTS} <= set(messages)
    for channel in found["channels"].values():
        for name, reference in channel["messages"].items():
            assert reference["$ref"] == f"#/components/messages/{name}"
            assert name in messages


def test_its_schemas_are_those_that_are_checked_with():
    payload = document()["components"]["messages"]["delivery.workflow.failed"]["payload"]
    assert payload["properties"]["data"] is TOLD["workflow.failed"].schema
    assert payload["properties"]["event"] == {"const": "workflow.failed"}
