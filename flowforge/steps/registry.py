"""Which step types there are: the built-in ones, those of installed packages, those that the operator names."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from flowforge.core.errors import Fault
from flowforge.core.jsonschema import SchemaError, Validator, compile_schema
from flowforge.core.pointers import tokens
from flowforge.steps.approval import Approval
from flowforge.steps.base import StepType
from flowforge.steps.ci.step import Ci
from flowforge.steps.condition import Condition
from flowforge.steps.delay import Delay
from flowforge.steps.emit import Emit
from flowforge.steps.etl.step import Etl
from flowforge.steps.generic import Generic
from flowforge.steps.http import Http
from flowforge.steps.lenient import lenient
from flowforge.steps.llm.step import Llm
from flowforge.steps.map import Map
from flowforge.steps.ml.step import MlTraining
from flowforge.steps.python import Python
from flowforge.steps.switch import Switch
from flowforge.steps.transform import Transform
from flowforge.steps.wait_event import WaitEvent
from flowforge.steps.workflow import Workflow

ENTRY_POINTS: Final = "flowforge.steps"
BUILT_IN: Final[tuple[StepType, ...]] = (
    Approval(),
    Ci(),
    Condition(),
    Delay(),
    Emit(),
    Etl(),
    Generic(),
    Http(),
    Llm(),
    Map(),
    MlTraining(),
    Python(),
    Switch(),
    Transform(),
    WaitEvent(),
    Workflow(),
)

_ATTRIBUTES: Final = (
    "title",
    "description",
    "kind",
    "queue",
    "starts_processes",
    "default_timeout_seconds",
    "config_schema",
    "output_schema",
    "unrendered",
    "check",
    "branches",
    "run",
)

# Stands in for a member of the wrong shape: `check` lets an expression pass wherever it stands.
_UNKNOWN: Final = "{{ unknown }}"

log = logging.getLogger("flowforge.steps")


class NotAStepType(Exception):
    """What was offered as a step type is none; the message says why."""


class Registry:
    """Step types by name. Immutable once built; safe to share between threads."""

    def __init__(self, step_types: Iterable[StepType]) -> None:
        """Raises NotAStepType on what has not the shape of one, and on a name that is taken."""
        self._types: dict[str, StepType] = {}
        self._rendered: dict[str, Validator] = {}
        self._written: dict[str, Validator] = {}
        for step_type in step_types:
            self._add(step_type)

    def get(self, name: str) -> StepType | None:
        return self._types.get(name)

    def names(self) -> list[str]:
        """In alphabetical order."""
        return sorted(self._types)

    def all(self) -> list[StepType]:
        """In the order of their names."""
        return [self._types[name] for name in self.names()]

    def faults(self, name: str, config: Mapping[str, Any]) -> list[Fault]:
        """Everything that is wrong with a config as it is written; a string with `{{` passes wherever it stands.

        Pointers are relative to the config. Raises KeyError on an unknown name.
        """
        found = self._written[name].faults(config)
        if any(not fault.pointer for fault in found):
            return found  # nothing can be said of its members
        misshapen = {tokens(fault.pointer)[0] for fault in found}
        checked = self._types[name].check({**config, **dict.fromkeys(misshapen, _UNKNOWN)})
        return found + [fault for fault in checked if misshapen.isdisjoint(tokens(fault.pointer)[:1])]

    def faults_rendered(self, name: str, config: Mapping[str, Any]) -> list[Fault]:
        """What the schema says of a config that has been rendered. Raises KeyError on an unknown name."""
        return self._rendered[name].faults(config)

    def _add(self, step_type: StepType) -> None:
        name = getattr(step_type, "name", None)
        if not isinstance(name, str) or not name:
            raise NotAStepType(f"{step_type!r} has no name")
        missing = [attribute for attribute in _ATTRIBUTES if not hasattr(step_type, attribute)]
        if missing:
            raise NotAStepType(f"step type {name!r} lacks {', '.join(missing)}")
        if name in self._types:
            raise NotAStepType(f"there is a step type {name!r} already")
        try:
            self._rendered[name] = compile_schema(step_type.config_schema)
            self._written[name] = compile_schema(lenient(step_type.config_schema))
            compile_schema(step_type.output_schema)
        except SchemaError as error:
            raise NotAStepType(f"a schema of step type {name!r} is none: {error}") from None
        self._types[name] = step_type


def default_registry(extra: Sequence[str] = ()) -> Registry:
    """The built-in types, those of the entry-point group `flowforge.steps`, and `extra`: dotted paths of classes.

    Built once for the same `extra`. A broken package is logged and left out; a broken path in `extra` is the
    operator's own mistake and raises NotAStepType.
    """
    return _default_registry(tuple(extra))


@cache
def _default_registry(extra: tuple[str, ...]) -> Registry:
    chosen: list[StepType] = [*BUILT_IN, *map(_at, extra)]
    for entry_point in entry_points(group=ENTRY_POINTS):
        chosen = _with_entry_point(chosen, entry_point)
    return Registry(chosen)


def _with_entry_point(chosen: list[StepType], entry_point: EntryPoint) -> list[StepType]:
    try:
        longer = [*chosen, _instance(entry_point.load())]
        Registry(longer)
    except Exception as error:  # noqa: BLE001  importing a package runs its code: anything may come
        log.warning("step type %s (%s) left out: %s", entry_point.name, entry_point.value, error)
        return chosen
    return longer


def _at(path: str) -> StepType:
    module, _, attribute = path.rpartition(".")
    try:
        return _instance(getattr(import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        raise NotAStepType(f"no step type at {path!r}: {error}") from error


def _instance(found: Any) -> StepType:
    step_type: StepType = found() if isinstance(found, type) else found
    return step_type
