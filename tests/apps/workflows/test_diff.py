"""The difference between two definitions."""

from typing import Any

import pytest

from tests.apps.workflows.conftest import chain, step
from workflows.services.diff import changes, diff


def test_it_works() -> None:
    old: dict[str, Any] = {**chain("a", "b", "c"), "config": {"priority": 1, "timeout": "1h"}, "output": None}
    new: dict[str, Any] = {
        "nodes": [step("a", x="{{ 1 }}"), step("d"), step("b")],
        "edges": [{"source": "a", "target": "b", "on": "always"}],
        "config": {"priority": 1, "expires_in": "1d"},
        "input_schema": None,
        "output": {"x": 1},
    }
    assert diff(old, new) == {
        "identical": False,
        "nodes": {
            "added": [step("d")],
            "removed": [step("c")],
            "changed": [
                {
                    "id": "a",
                    "changes": [
                        {"op": "remove", "path": "/config/values/answer", "old": "{{ 42 }}"},
                        {"op": "add", "path": "/config/values/x", "value": "{{ 1 }}"},
                    ],
                }
            ],
            "reordered": False,
        },
        "edges": {
            "added": [],
            "removed": [{"source": "b", "target": "c"}],
            "changed": [{"source": "a", "target": "b", "changes": [{"op": "add", "path": "/on", "value": "always"}]}],
            "reordered": False,
        },
        "config": [
            {"op": "add", "path": "/expires_in", "value": "1d"},
            {"op": "remove", "path": "/timeout", "old": "1h"},
        ],
        "input_schema": [],
        "output": [{"op": "replace", "path": "", "old": None, "value": {"x": 1}}],
    }


def test_order_alone_is_told() -> None:
    old = chain("a", "b")
    new = {**old, "nodes": old["nodes"][::-1]}
    found = diff(old, new)
    assert found["identical"] is False
    assert found["nodes"] == {"added": [], "removed": [], "changed": [], "reordered": True}
    assert diff(old, old)["identical"] is True


def test_edges_between_the_same_nodes_are_kept_apart() -> None:
    def arms(*labels: str) -> dict[str, Any]:
        return {"nodes": [], "edges": [{"source": "a", "target": "b", "when": label} for label in labels]}

    found = diff(arms("x", "y"), arms("x", "z", "y"))["edges"]
    assert found["added"] == [{"source": "a", "target": "b", "when": "y"}]
    assert [one["changes"][0]["value"] for one in found["changed"]] == ["z"]


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, ["/a~1b/~0"]),
        ([1, 2], [1, 3], [""]),
        (True, 1, [""]),
        (1, 1.0, [""]),
        ({"a": [1]}, {"a": [1]}, []),
        ({"a": {}}, {"a": None}, ["/a"]),
    ],
)
def test_it_rejects_to_call_different_values_equal(old: Any, new: Any, paths: list[str]) -> None:
    assert [change["path"] for change in changes(old, new)] == paths
