"""Step types and definitions for the tests of the kernel, which knows no real ones; and hypothesis strategies."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from hypothesis import strategies as st

from flowforge.core.errors import Fault
from flowforge.core.jsonschema import compile_schema
from flowforge.kernel.validation import validate

OPEN: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True, kw_only=True)
class FakeStep:
    """A step type with a schema, and labels that don't depend on its config."""

    name: str
    labels: frozenset[str] | None = None
    schema: Mapping[str, Any] = field(default_factory=lambda: OPEN)
    kind: Literal["pure", "effect"] = "effect"

    def branches(self, config: Mapping[str, Any]) -> frozenset[str] | None:
        assert not compile_schema(self.schema).faults(config), "asked for the labels of an invalid config"
        return self.labels


class FakeCatalogue:
    """A catalogue of fakes."""

    def __init__(self, *steps: FakeStep) -> None:
        self._steps = {step.name: step for step in steps}

    def get(self, name: str) -> FakeStep | None:
        return self._steps.get(name)

    def names(self) -> Collection[str]:
        return self._steps.keys()

    def faults(self, name: str, config: Mapping[str, Any]) -> list[Fault]:
        return compile_schema(self._steps[name].schema).faults(config)


HTTP_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["url"],
    "properties": {"url": {"type": "string"}},
    "additionalProperties": True,
}
CATALOGUE = FakeCatalogue(
    FakeStep(name="http", schema=HTTP_SCHEMA),
    FakeStep(name="transform", kind="pure"),
    FakeStep(name="generic"),
    FakeStep(name="map"),
    FakeStep(name="condition", kind="pure", labels=frozenset({"true", "false"})),
    FakeStep(name="switch", kind="pure", labels=frozenset()),
    FakeStep(name="approval", labels=frozenset({"approved", "rejected", "expired"})),
)


def faults_of(document: Any, **options: Any) -> list[tuple[str, str]]:
    """(pointer, code) of each error."""
    return [(fault.pointer, fault.code) for fault in validate(document, CATALOGUE, **options).errors]


def step(node_id: str = "a", **fields: Any) -> dict[str, Any]:
    """A node without needs."""
    return {"id": node_id, "type": "transform", **fields}


def chain(*ids: str) -> dict[str, Any]:
    """A document of nodes one after the other."""
    edges = [{"source": a, "target": b} for a, b in pairwise(ids)]
    return {"nodes": [step(node) for node in ids], "edges": edges}


STORABLE_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
NODE_IDS = st.from_regex(r"[a-z_][a-z0-9_-]{0,7}", fullmatch=True)
DURATIONS = st.sampled_from(["500ms", "30s", "1h30m", "PT5M", "2", 90, 0.5])


@st.composite
def definitions(draw: st.DrawFn, max_nodes: int = 12) -> dict[str, Any]:
    """A valid document: an acyclic graph with expressions that read what is upstream of them."""
    ids = draw(st.lists(NODE_IDS, unique=True, max_size=max_nodes))
    pairs = [(a, b) for i, a in enumerate(ids) for b in ids[i + 1 :]]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    nodes = [draw(_nodes(node, [a for a, b in edges if b == node])) for node in ids]
    document: dict[str, Any] = {
        "nodes": draw(st.permutations(nodes)),
        "edges": [draw(_edges(*pair)) for pair in edges],
    }
    if draw(st.booleans()):
        document["config"] = draw(_configs())
    if ids and draw(st.booleans()):
        document["output"] = {"last": f'{{{{ steps["{ids[-1]}"].output }}}}'}
    return document


@st.composite
def _nodes(draw: st.DrawFn, node_id: str, before: list[str]) -> dict[str, Any]:
    read = [f'steps["{draw(st.sampled_from(before))}"].output'] if before else []
    expression = draw(st.sampled_from(["inputs.a", "run.id", "now", *read]))
    node: dict[str, Any] = {"id": node_id, "type": "transform", "config": {"x": [f"{{{{ {expression} }}}}"]}}
    optional = {
        "name": STORABLE_TEXT,
        "retry": _retries(),
        "timeout": DURATIONS,
        "priority": st.integers(-5, 5),
        "join": st.sampled_from(["all", "any", "strict"]),
        "when": st.sampled_from([f"{{{{ {expression} }}}}", expression, True]),
        "on_error": st.sampled_from(["fail", "continue"]),
    }
    return node | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def _edges(draw: st.DrawFn, source: str, target: str) -> dict[str, Any]:
    optional = {"on": st.sampled_from(["success", "failure", "always"]), "when": st.just("{{ inputs.a }}")}
    return {"source": source, "target": target} | draw(st.fixed_dictionaries({}, optional=optional))


def _retries() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={"max_attempts": st.integers(1, 9), "initial_delay": DURATIONS, "jitter": st.floats(0, 1)}
    )


def _configs() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={"max_concurrency": st.integers(1, 50), "timeout": DURATIONS, "retry_policy": _retries()}
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)

_WORDS = st.sampled_from(
    ["a", "b", "c", "{{ steps.a.output }}", "{{ 1 +", "{{ foo }}", "true", "http", "map", "1h", ""]
)
_LOOSE = JSON | _WORDS
_LOOSE_NODES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "b", "c", "a b"]) | _LOOSE,
        "type": st.sampled_from(["http", "condition", "map", "nope"]) | _LOOSE,
        "config": st.dictionaries(st.sampled_from(["url", "x~/", "y"]), _LOOSE, max_size=3) | _LOOSE,
        "retry": st.fixed_dictionaries({}, optional={"max_attempts": _LOOSE, "max_delay": _LOOSE}) | _LOOSE,
        "cache": st.fixed_dictionaries({}, optional={"key": _LOOSE, "ttl": _LOOSE}) | _LOOSE,
        "compensate": st.fixed_dictionaries({}, optional={"type": _LOOSE, "config": _LOOSE}) | _LOOSE,
        **dict.fromkeys(["timeout", "priority", "join", "when", "on_error", "template_id", "typo"], _LOOSE),
    },
)
_LOOSE_EDGES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["source", "target", "on", "when", "typo"], st.sampled_from(["a", "b", "c"]) | _LOOSE)
)
_LOOSE_TASKS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", "ä b"]) | _LOOSE,
        "type": st.sampled_from(["http", "generic"]) | _LOOSE,
        "dependencies": st.lists(st.sampled_from(["a", "b", "ä b"]) | _LOOSE, max_size=3) | _LOOSE,
        **dict.fromkeys(["payload", "max_retries", "priority", "typo"], _LOOSE),
    },
)

# documents of roughly the right shape, with anything anywhere
LOOSE_DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "nodes": st.lists(_LOOSE_NODES | _LOOSE, max_size=5) | _LOOSE,
        "edges": st.lists(_LOOSE_EDGES | _LOOSE, max_size=6) | _LOOSE,
        "config": st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                ["timeout", "retry_policy", "concurrency", "rate_limit", "debounce", "budget", "on_failure"],
                st.dictionaries(st.sampled_from(["key", "limit", "delay", "max_delay"]), _LOOSE, max_size=2) | _LOOSE,
            ),
        )
        | _LOOSE,
        "input_schema": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(["type", "properties", "$ref", "pattern", "allOf", "default"], _LOOSE)
        )
        | _LOOSE,
        "output": _LOOSE,
        "typo": _LOOSE,
    },
) | st.fixed_dictionaries({"tasks": st.lists(_LOOSE_TASKS | _LOOSE, max_size=4) | _LOOSE})
