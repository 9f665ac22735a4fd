"""A workflow's definition as values. `validation.py` makes one from a client's document, or says all that is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from flowforge.core.json import Json

Join = Literal["all", "any", "strict"]
On = Literal["success", "failure", "always"]

OnConflict = Literal["queue", "reject", "cancel_running"]

MAX_NODES = 10_000
MAX_EDGES = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often and when an attempt follows a failed one; delays in seconds."""

    max_attempts: int = 1
    initial_delay: float = 1.0
    max_delay: float = 300.0
    backoff_factor: float = 2.0
    jitter: float = 0.1  # share of the delay by which it varies, either way


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """A step whose key (an expression) gave an output within `ttl_seconds` takes that instead of running."""

    key: str
    ttl_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Compensation:
    """The step that undoes a completed node once its run failed or was cancelled."""

    type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy()
    timeout_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Each:
    """What a `map` does for each of its items."""

    step: "Node"  # has the map's id
    max_concurrency: int | None = None  # items at a time; None: as many as the run's steps
    goes_on: bool = False  # an item that fails does not end the map


@dataclass(frozen=True, kw_only=True)
class Node:
    """A step of the graph, with everything that the run's config gives it by default filled in."""

    id: str
    position: int  # its place in `nodes`: the last tie-breaker of every order
    type: str
    name: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy()
    timeout_seconds: float | None = None  # of an attempt; None: the step type's own default
    priority: int = 0  # higher first
    join: Join = "all"
    when: str | None = None  # expression, always within {{ }}; false: skipped
    on_error: Literal["fail", "continue"] = "fail"
    queue: str | None = None  # worker pool; None: the step type's own
    cache: Cache | None = None
    template_id: str | None = None  # of the template that type and config were taken from, in this version of it
    template_version: int | None = None
    compensate: Compensation | None = None
    each: Each | None = None  # of a `map`
    is_item: bool = False  # it is what a `map` does for an item, not a node of the graph


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    position: int  # its place in `edges`
    source: str
    target: str
    on: On = "success"
    when: str | None = None  # a branch label, or an expression if it holds {{ }}

    @property
    def is_expression(self) -> bool:
        return self.when is not None and "{{" in self.when


@dataclass(frozen=True, kw_only=True, slots=True)
class Concurrency:
    """At most `limit` live runs of a workflow with the same key (an expression over the inputs)."""

    key: str | None = None  # None: all runs of the workflow share one
    limit: int = 1
    on_conflict: OnConflict = "queue"


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimit:
    """Runs with the same key begin at a pace of `limit` in `seconds`."""

    limit: int
    seconds: float
    key: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Debounce:
    """Starts with the same key become one run, `delay_seconds` after the last of them."""

    delay_seconds: float
    key: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """`config` of a definition. Durations in seconds."""

    max_concurrency: int = 10  # steps of one run at a time
    timeout_seconds: float | None = None  # of the whole run
    retry: RetryPolicy = RetryPolicy()
    priority: int = 0
    concurrency: Concurrency | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    expires_in_seconds: float | None = None  # from the run's creation; not begun by then: failed with `expired`
    expected_duration_seconds: float | None = None
    on_failure: Mapping[str, Any] | None = None  # {workflow_id, inputs?} of the workflow to start
    budget: Mapping[str, Any] | None = None  # {cost, tokens, steps, http_calls, wall_time, on_breach}, as written


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A valid graph: ids are unique, edges join nodes that exist, there is no cycle. Immutable; cached by version."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    config: RunConfig = RunConfig()
    input_schema: Mapping[str, Any] | None = None
    output: Json = None  # expressions; None: the outputs of the nodes that nothing follows

    @cached_property
    def by_id(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def maps(self) -> tuple[Node, ...]:
        """The nodes that go over items."""
        return tuple(node for node in self.nodes if node.each is not None)

    def node_of(self, node_id: str, index: int) -> Node:
        """What a step does: the node, or that of a map's items where `index` is not -1."""
        node = self.by_id[node_id]
        return node if index < 0 or node.each is None else node.each.step

    @cached_property
    def incoming(self) -> dict[str, tuple[Edge, ...]]:
        """Edges by target; a root has none."""
        found: dict[str, list[Edge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            found[edge.target].append(edge)
        return {node: tuple(edges) for node, edges in found.items()}

    @cached_property
    def outgoing(self) -> dict[str, tuple[Edge, ...]]:
        """Edges by source."""
        found: dict[str, list[Edge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            found[edge.source].append(edge)
        return {node: tuple(edges) for node, edges in found.items()}
