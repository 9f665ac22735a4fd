"""A step template's config filled with the parameters of a node: the config that the node would have had by hand."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of
from flowforge.kernel.document import as_expression
from flowforge.kernel.expressions import ExpressionError
from flowforge.kernel.expressions.budget import MAX_DEPTH
from flowforge.kernel.expressions.errors import budget_error
from flowforge.kernel.expressions.substitution import ROOT, Substituter
from flowforge.kernel.validation.expression_rules import LATER

__all__ = ["ROOT", "Filled", "Substituter", "fill", "texts"]

Path = tuple[str | int, ...]
Visit = Callable[[str, Path], Json]
_TOO_DEEP: Final = f"with its parameters the config is nested deeper than {MAX_DEPTH}"


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A config without `parameters`, and where they went. Pointers into the config."""

    config: dict[str, Json] = field(default_factory=dict)
    origins: dict[str, frozenset[str] | None] = field(default_factory=dict)  # text -> names; None: any of them
    errors: dict[str, ExpressionError] = field(default_factory=dict)  # texts that cannot be filled


def fill(
    step_type: str, config: Mapping[str, Any], values: Mapping[str, Json], substituter: Substituter | None = None
) -> Filled:
    """Put the values of parameters, texts that may hold expressions among them, into a template's config."""
    found = Filled()
    filler = _Filler(values, substituter or Substituter(), found)
    found.config.update(_walk(step_type, config, filler.text))
    if _depth(found.config) > MAX_DEPTH:
        found.errors.setdefault("", budget_error(_TOO_DEEP))
    return found


def texts(step_type: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(pointer, text) of every text of a config that holds expressions; bare conditions in braces."""
    found: list[tuple[str, str]] = []

    def keep(text: str, path: Path) -> str:
        found.append((pointer_of(path), text))
        return text

    _walk(step_type, config, keep)
    yield from found


class _Filler:
    def __init__(self, values: Mapping[str, Json], substituter: Substituter, found: Filled) -> None:
        self._values, self._substituter, self._found = values, substituter, found

    def text(self, text: str, path: Path) -> Json:
        at = pointer_of(path)
        try:
            names = self._substituter.reads(text)
            if names is None or names:
                self._found.origins[at] = names
            return self._substituter.put(self._values, text)
        except ExpressionError as error:
            self._found.errors[at] = error
            return None


def _walk(step_type: str, config: Mapping[str, Any], visit: Visit, path: Path = ()) -> dict[str, Json]:
    """A copy of a config, each text with expressions as `visit(text, path)` wants it."""
    later = LATER.get(step_type, {})
    made: dict[str, Json] = {}
    for name, value in config.items():
        here = (*path, name)
        if name in later and isinstance(value, str):
            written = as_expression(value) or ""
            new = visit(written, here)
            made[name] = value if new == written else new
        elif step_type == "map" and name == "step" and isinstance(value, Mapping):
            made[name] = _inner(value, visit, here)
        else:
            made[name] = _value(value, visit, here)
    return made


def _inner(step: Mapping[str, Any], visit: Visit, path: Path) -> dict[str, Json]:
    """What a map does for an item: a step within the config."""
    made = {}
    for name, value in step.items():
        if name == "config" and isinstance(value, Mapping):
            made[name] = _walk(str(step.get("type")), value, visit, (*path, name))
        else:
            made[name] = _value(value, visit, (*path, name))
    return made


def _value(value: Json, visit: Visit, path: Path) -> Json:
    if isinstance(value, str):
        return visit(value, path) if "{{" in value else value
    if isinstance(value, Mapping):
        return {key: _value(item, visit, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item, visit, (*path, index)) for index, item in enumerate(value)]
    return value


def _depth(value: Json) -> int:
    """How deep objects and lists nest; not further than what is allowed, and a little."""
    deepest, layer = 0, [value]
    while layer and deepest <= MAX_DEPTH:
        below = [item for item in layer if isinstance(item, (dict, list))]
        deepest += bool(below)
        layer = [child for item in below for child in (item.values() if isinstance(item, dict) else item)]
        if not below:
            break
    return deepest
