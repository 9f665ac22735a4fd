"""A program as a FlowForge definition."""

from collections.abc import Mapping
from typing import Any

from tests.faults.programs import EVENT, MODULUS, Node, Program

INPUT_SCHEMA = {
    "type": "object",
    "required": ["token", "lane", "x"],
    "properties": {"token": {"type": "string"}, "lane": {"type": "integer"}, "x": {"type": "integer"}},
}
# what a node contributes, by its kind: 0 of one that was skipped, or failed
_TERMS = {
    "noted": "(steps.{id}.output | default(0, true))",
    "sum": "(steps.{id}.output.sum | default(0, true))",
    "approval": "(1 if steps.{id}.output.decision | default('') == 'approved' else 0)",
    "wait_event": "(steps.{id}.output.value | default(0, true))",
    "map": "(steps.{id}.output.results | default([], true) | select | sum)",
    "workflow": "(steps.{id}.output.total | default(0, true))",
}


def definition_of(program: Program, children: Mapping[str, str]) -> dict[str, Any]:
    """`children`: node -> id of the workflow that it starts."""
    edges = [
        {"source": edge.source, "target": edge.target, "on": edge.on} | ({"when": edge.when} if edge.when else {})
        for edge in program.edges
    ]
    return {
        "nodes": [_node(program, node, children) for node in program.nodes],
        "edges": edges,
        "config": {"max_concurrency": program.max_concurrency},
        "input_schema": INPUT_SCHEMA,
        "output": {"total": _expression(program.nodes)},
    }


def _node(program: Program, node: Node, children: Mapping[str, str]) -> dict[str, Any]:
    more: dict[str, Any] = {"on_error": node.on_error} if node.on_error != "fail" else {}
    if node.join != "all":
        more["join"] = node.join
    if node.kind == "noted":
        more["retry"] = {"max_attempts": node.attempts, "initial_delay": "30ms", "max_delay": "100ms"}
    if node.kind == "workflow":  # a fault may strike within the start of a child: asked again, it finds the same one
        more["retry"] = {"max_attempts": 8, "initial_delay": "30ms", "max_delay": "100ms"}
    kind = "transform" if node.kind == "sum" else node.kind
    return {"id": node.id, "type": kind, "config": _config(program, node, children), **more}


def _config(program: Program, node: Node, children: Mapping[str, str]) -> dict[str, Any]:
    sources = [program.node(edge.source) for edge in program.incoming(node)] if program.adds(node) else []
    if node.kind == "noted":
        value = _expression(sources, node.amount)
        return {"value": value, "fail_times": node.fail_times, "seconds": node.seconds}
    if node.kind == "sum":
        return {"values": {"sum": _expression(sources, node.amount)}}
    if node.kind == "condition":
        return {"expression": f"{{{{ (inputs.x + {node.amount}) % 2 == 0 }}}}"}
    if node.kind == "delay":
        return {"duration": f"{round(node.seconds * 1000)}ms"}
    if node.kind == "approval":
        return {"title": node.decision}
    if node.kind == "wait_event":
        return {"event": EVENT, "match": "{{ payload.lane == inputs.lane }}"}
    if node.kind == "map":
        config = {"value": "{{ item }}", "fail_times": f"{{{{ 99 if index < {node.bad_items} else 0 }}}}"}
        step = {"type": "noted", "config": config, "retry": {"max_attempts": 1}}
        return {"items": node.items, "step": step, "on_error": "continue", "max_concurrency": 3}
    inputs = {name: f"{{{{ inputs.{name} }}}}" for name in ("lane", "x")}
    return {"workflow_id": children[node.id], "inputs": {"token": f"{{{{ inputs.token }}}}/{node.id}", **inputs}}


def _expression(sources: list[Node], amount: int = 0) -> str:
    terms = [_TERMS[node.kind].format(id=node.id) for node in sources if node.kind in _TERMS]
    return f"{{{{ ({' + '.join([str(amount), *terms])}) % {MODULUS} }}}}"
