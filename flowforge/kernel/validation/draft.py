"""What the checks look at: a document whose members have the right shape, but may be missing or not fit together."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from flowforge.core.errors import Fault
from flowforge.kernel.document import as_label
from flowforge.kernel.expressions import Reference, compile_expression, compile_template
from flowforge.kernel.graph import Upstream, topological_order


class StepSpec(Protocol):
    """What validation asks of a step type."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Literal["pure", "effect"]: ...

    def branches(self, config: Mapping[str, Any]) -> frozenset[str] | None:
        """The labels that its edges' `when` can name; None: it has none; an empty set: any text."""
        ...


class Catalogue(Protocol):
    """The step types there are."""

    def get(self, name: str) -> StepSpec | None: ...

    def names(self) -> Collection[str]: ...

    def faults(self, name: str, config: Mapping[str, Any]) -> list[Fault]:
        """What is wrong with a config of that type; pointers relative to it. Strings with expressions pass."""
        ...


@dataclass(frozen=True, kw_only=True)
class DraftEdge:
    index: int
    source: str
    target: str
    on: str
    when: str | None
    written: Mapping[str, Any]


@dataclass(frozen=True)
class Draft:
    """A document without its members of the wrong shape: nodes and edges of the wrong shape are None."""

    document: Mapping[str, Any]
    catalogue: Catalogue
    allowed_types: Collection[str] | None = None  # None: all
    names: frozenset[str] = frozenset()  # what the configs of nodes may read beside what all may
    is_graph: bool = True  # False: a step by itself, that will stand after others

    @cached_property
    def nodes(self) -> list[tuple[int, Mapping[str, Any]]]:
        """(index, node) of the nodes that are objects."""
        return [(i, node) for i, node in enumerate(self.document.get("nodes", ())) if node is not None]

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return self.document.get("config") or {}

    @cached_property
    def by_id(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """(index, node) by id; of doubles the first."""
        found: dict[str, tuple[int, Mapping[str, Any]]] = {}
        for index, node in self.nodes:
            if "id" in node:
                found.setdefault(node["id"], (index, node))
        return found

    @cached_property
    def edges(self) -> list[DraftEdge]:
        """The edges that say whence and where to, whether those nodes exist or not."""
        return [
            DraftEdge(
                index=index,
                source=edge["source"],
                target=edge["target"],
                on=edge.get("on") or "success",
                when=as_label(edge.get("when")),
                written=edge,
            )
            for index, edge in enumerate(self.document.get("edges", ()))
            if edge is not None and "source" in edge and "target" in edge
        ]

    @cached_property
    def sound_edges(self) -> list[DraftEdge]:
        """The edges between two different nodes that exist."""
        known = self.by_id
        return [e for e in self.edges if e.source in known and e.target in known and e.source != e.target]

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        return [(edge.source, edge.target) for edge in self.sound_edges]

    @cached_property
    def is_acyclic(self) -> bool:
        return len(topological_order(list(self.by_id), self.pairs)) == len(self.by_id)

    @cached_property
    def upstream(self) -> Upstream:
        """Only of use where the graph has no cycle."""
        return Upstream(list(self.by_id), self.pairs)

    @cached_property
    def config_faults(self) -> dict[int, list[Fault]]:
        """By node index: what its step type finds wrong with its config, pointers into the document."""
        found: dict[int, list[Fault]] = {}
        for index, node in self.nodes:
            name = node.get("type")
            if name is None or self.catalogue.get(name) is None:
                continue
            faults = self.catalogue.faults(name, node.get("config") or {})
            found[index] = [fault.under(f"/nodes/{index}/config") for fault in faults]
        return found

    def reads(self, text: str) -> list[Reference]:
        """What the expressions within a text read, sorted. Raises ExpressionError."""
        if text not in self._reads:
            self._reads[text] = sorted(compile_template(text).references, key=str)
        return self._reads[text]

    @cached_property
    def _reads(self) -> dict[str, list[Reference]]:
        return {}  # parsing is most of the work, and large definitions repeat themselves

    def condition_reads(self, text: str) -> list[Reference]:
        """What a condition, a single expression with or without braces, reads, sorted. Raises ExpressionError."""
        return sorted(compile_expression(text).references, key=str)

    def branches_of(self, index: int, node: Mapping[str, Any]) -> frozenset[str] | None:
        """The labels that a node can give; empty where any text may be right, or nothing is known."""
        spec = self.catalogue.get(node.get("type", ""))
        if spec is None or self.config_faults.get(index):
            return frozenset()
        return spec.branches(node.get("config") or {})


def suggestion(name: str, known: Collection[str]) -> str:
    """` (did you mean "x"?)`, or nothing."""
    # the comparison is quadratic in the names' lengths: not over thousands of them
    close = difflib.get_close_matches(name[:100], list(known)[:200], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def strings(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """(pointer, text) of every string within a JSON value; keys are no expressions."""
    stack: list[tuple[str, Any]] = [(pointer, value)]
    while stack:
        at, item = stack.pop()
        if isinstance(item, str):
            yield at, item
        elif isinstance(item, Mapping):
            stack.extend((f"{at}/{key.replace('~', '~0').replace('/', '~1')}", part) for key, part in item.items())
        elif isinstance(item, list):
            stack.extend((f"{at}/{index}", part) for index, part in enumerate(item))
