"""FlowCtl's tasks as nodes and edges."""

from typing import Any

import pytest

from flowforge.kernel.validation import from_tasks, validate
from tests.support.definitions import CATALOGUE


def faults_of(*tasks: Any) -> list[tuple[str, str]]:
    found = validate({"tasks": list(tasks)}, CATALOGUE)
    return [(fault.pointer, fault.code) for fault in found.errors]


def test_it_works_for_the_documented_example() -> None:
    found = validate(
        {
            "config": {"max_concurrency": 10, "timeout": "1h"},
            "tasks": [
                {"name": "extract data", "type": "http", "payload": {"url": "u"}, "priority": 1, "max_retries": 2},
                {"name": "validate", "type": "generic", "dependencies": ["extract data"], "priority": 2},
            ],
        },
        CATALOGUE,
    )
    assert found.errors == []
    assert found.document == {
        "nodes": [
            {
                "id": "extract_data",
                "name": "extract data",
                "type": "http",
                "config": {"url": "u"},
                "retry": {"max_attempts": 3},
                "priority": 1,
            },
            {"id": "validate", "name": "validate", "type": "generic", "priority": 2, "join": "strict"},
        ],
        "edges": [{"source": "extract_data", "target": "validate"}],
        "config": {"max_concurrency": 10, "timeout": "1h"},
        "input_schema": None,
        "output": None,
    }


def test_it_rejects_with_pointers_into_the_tasks() -> None:
    assert faults_of(
        {"name": "a", "type": "http", "max_retries": -1},
        {"name": "b", "type": "nope", "dependencies": ["a", "zzz", "b", 1], "payload": {"x": "{{ steps.c.output }}"}},
        {"nme": "c"},
        {"name": "a", "type": "generic", "payload": "text"},
        7,
    ) == [
        ("/tasks/0/max_retries", "minimum"),
        ("/tasks/0/payload/url", "required"),
        ("/tasks/1/dependencies/1", "unknown_node"),
        ("/tasks/1/dependencies/2", "self_loop"),
        ("/tasks/1/dependencies/3", "type"),
        ("/tasks/1/payload/x", "unknown_step"),
        ("/tasks/1/type", "unknown_type"),
        ("/tasks/2/name", "required"),
        ("/tasks/2/nme", "unknown_field"),
        ("/tasks/2/type", "required"),
        ("/tasks/3/name", "duplicate_id"),
        ("/tasks/3/payload", "type"),
        ("/tasks/4", "type"),
    ]


def test_a_circle_of_dependencies_is_a_fault_at_one_of_them() -> None:
    [(pointer, code)] = faults_of(
        {"name": "a", "type": "generic", "dependencies": ["b"]}, {"name": "b", "type": "generic", "dependencies": ["a"]}
    )
    assert (pointer, code) in {("/tasks/0/dependencies/0", "cycle"), ("/tasks/1/dependencies/0", "cycle")}


def test_a_dependency_named_twice_is_a_fault() -> None:
    assert faults_of(
        {"name": "a", "type": "generic"}, {"name": "b", "type": "generic", "dependencies": ["a", "a"]}
    ) == [("/tasks/1/dependencies/1", "duplicate_edge")]


@pytest.mark.parametrize("field", ["nodes", "edges"])
def test_tasks_and_nodes_exclude_each_other(field: str) -> None:
    found = validate({"tasks": [{"name": "a", "type": "generic"}], field: [{"id": "b", "type": "generic"}]}, CATALOGUE)
    assert [(fault.pointer, fault.code) for fault in found.errors] == [("/tasks", "conflict")]


@pytest.mark.parametrize("tasks", ["text", 1, {"name": "a"}])
def test_it_rejects_tasks_that_are_no_list(tasks: Any) -> None:
    found = validate({"tasks": tasks}, CATALOGUE)
    assert [(fault.pointer, fault.code) for fault in found.errors] == [("/tasks", "type")]


def test_ids_are_unique_slugs_of_the_names() -> None:
    names = ["extract data", "extract-data", "extract/data", "Überprüfung", "日本", "日本語", "_x_", "a" * 200]
    made = from_tasks([{"name": name, "type": "t"} for name in names])
    assert [node["id"] for node in made.nodes] == [
        "extract_data",
        "extract-data",
        "extract_data_2",
        "Uberprufung",
        "task",
        "task_2",
        "x",
        "a" * 90,
    ]


def test_a_slug_that_looks_like_a_numbered_one_stays_unique() -> None:
    made = from_tasks([{"name": name, "type": "t"} for name in ["a", "a!", "a_2", "a?"]])
    assert len({node["id"] for node in made.nodes}) == 4


def test_no_retries_is_one_attempt() -> None:
    assert from_tasks([{"name": "a", "type": "t", "max_retries": 0}]).nodes[0]["retry"] == {"max_attempts": 1}
