"""A definition made ready to run: its templates compiled, its steps' types found. Immutable, shared by all threads."""

import threading
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from flowforge.engine.named import NamedCredentials, mentions_credentials, named_in
from flowforge.engine.pace import Pace
from flowforge.engine.store.rows import StepRow
from flowforge.kernel.definition import Definition, Node
from flowforge.kernel.expressions import Expression, Template, compile_expression, compile_template
from flowforge.steps.base import StepType
from flowforge.steps.llm.step import Llm
from flowforge.steps.workflow import Workflow
from workflows import selectors
from workflows.services.definitions import step_types

_KEPT = 256  # plans in memory


class UnknownStepType(Exception):
    """The definition names a step type that this worker does not have (a package that is missing here)."""


class Plan:
    """A definition with what is derived from it, computed when first asked for."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.pace = Pace()
        self._configs: dict[tuple[str, bool], Template] = {}
        self._cache_keys: dict[tuple[str, bool], Template] = {}
        self._kept: dict[tuple[str, bool], dict[str, Any]] = {}
        self._expressions: dict[str, Expression] = {}
        self._output: Template | None = None
        self._on_failure: Template | None = None

    def node(self, row: StepRow) -> Node:
        """What a step does."""
        return self.definition.node_of(row.node_id, row.index)

    def step_type(self, node: Node) -> StepType:
        found = step_types().get(node.type)
        if found is None:
            raise UnknownStepType(node.type)
        return found

    def config(self, node: Node) -> Template:
        """The config as it is rendered, without what `render` leaves as it is written."""
        key = (node.id, node.is_item)
        template = self._configs.get(key)
        if template is None:
            found = step_types().get(node.type)
            unrendered = found.unrendered if found is not None else frozenset()
            self._kept[key] = {name: node.config[name] for name in unrendered if name in node.config}
            rest = {name: value for name, value in node.config.items() if name not in unrendered}
            template = self._configs[key] = compile_template(rest)
        return template

    def render(self, node: Node, scope: Mapping[str, Any]) -> dict[str, Any]:
        """The config with its expressions evaluated. Raises ExpressionError."""
        rendered: dict[str, Any] = self.config(node).render(scope)
        return rendered | self._kept[node.id, node.is_item]

    def cache_key(self, node: Node) -> Template | None:
        """What of a step is to be the same for its output to be taken again; None: it is never."""
        if node.cache is None or self.is_pure(node):
            return None
        template = self._cache_keys.get((node.id, node.is_item))
        if template is None:
            template = self._cache_keys[node.id, node.is_item] = compile_template(node.cache.key)
        return template

    @cached_property
    def credentials(self) -> frozenset[str]:
        """The names of the credentials that its steps may read or send: none in most definitions."""
        nodes = (each for node in self.definition.nodes for each in (node, node.each.step if node.each else None))
        mentioning = [node for node in nodes if node is not None and mentions_credentials(node.config)]
        return frozenset(name for node in mentioning for name in self.credentials_of(node).all)

    def credentials_of(self, node: Node) -> NamedCredentials:
        """Those that one node's config names."""
        members: frozenset[str] = getattr(step_types().get(node.type), "credential_members", frozenset())
        return named_in(self.config(node), node.config, members)

    def expression(self, text: str) -> Expression:
        expression = self._expressions.get(text)
        if expression is None:
            expression = self._expressions[text] = compile_expression(text)
        return expression

    @property
    def output(self) -> Template | None:
        """The run's outputs; None: those of the nodes that nothing follows."""
        if self._output is None and self.definition.output is not None:
            self._output = compile_template(self.definition.output)
        return self._output

    @property
    def on_failure(self) -> Template | None:
        """What a run's failure starts."""
        rule = self.definition.config.on_failure
        if self._on_failure is None and rule is not None:
            self._on_failure = compile_template(dict(rule))
        return self._on_failure

    def queue(self, node: Node) -> str:
        """The worker pool of a step: the node's own, else its type's."""
        if node.queue is not None:
            return node.queue
        found = step_types().get(node.type)
        return found.queue if found is not None else "default"

    def is_pure(self, node: Node) -> bool:
        found = step_types().get(node.type)
        return found is not None and found.kind == "pure"

    @cached_property
    def starts_runs(self) -> bool:
        """Whether a step of it may start a run and wait for it."""
        return any(self.may_start_run(node.each.step if node.each else node) for node in self.definition.nodes)

    def may_start_run(self, node: Node) -> bool:
        return node.type == Workflow.name or self.may_call_tools(node)

    def may_call_tools(self, node: Node) -> bool:
        """Whether a step may start any number of runs, one after the other."""
        return node.type == Llm.name and "tools" in node.config

    def timeout_seconds(self, node: Node) -> float | None:
        if node.timeout_seconds is not None:
            return node.timeout_seconds
        found = step_types().get(node.type)
        return found.default_timeout_seconds if found is not None else None


def steps_named(template: Template | Expression) -> set[str]:
    """The steps whose results a template reads."""
    return {ref.name for ref in template.references if ref.root == "steps" and ref.name is not None}


class _Plans:
    """The newest plans by version; versions never change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: OrderedDict[uuid.UUID, Plan] = OrderedDict()

    def get(self, version_id: uuid.UUID) -> Plan:
        with self._lock:
            plan = self._plans.get(version_id)
            if plan is not None:
                self._plans.move_to_end(version_id)
                return plan
        plan = Plan(selectors.definition_of(version_id))
        with self._lock:
            self._plans[version_id] = plan
            while len(self._plans) > _KEPT:
                self._plans.popitem(last=False)
        return plan


_plans = _Plans()


def plan_of(version_id: uuid.UUID) -> Plan:
    return _plans.get(version_id)
