"""The step that a version of a template makes of a node's parameters. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of, tokens
from flowforge.kernel.expressions import ExpressionError, faults
from flowforge.kernel.templating import Filled, Substituter, fill
from templates_app.services.checking import Content
from templates_app.services.parameters import complete


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that was made, and how to tell faults of it to those who see the parameters alone."""

    content: Content
    given: Mapping[str, Json]  # as they were written
    values: Mapping[str, Json] = field(default_factory=dict)  # with defaults
    filled: Filled = field(default_factory=Filled)
    errors: tuple[Fault, ...] = ()  # pointers into the parameters; then there is no step

    def blame(self, fault: Fault) -> tuple[str, ...] | None:
        """The path within the parameters of what caused a fault of the config; None: the template itself did.

        The pointer of `fault` leads into the config that was made.
        """
        names = self._origin(fault.pointer)
        if names is None:
            return None
        written = sorted(names & self.given.keys())
        return (written[0],) if len(written) == 1 else ()

    def _origin(self, pointer: str) -> frozenset[str] | None:
        """The parameters that made the text at a place, or around it."""
        path = tokens(pointer)
        while True:
            at = pointer_of(path)
            if at in self.filled.origins:
                names = self.filled.origins[at]
                return frozenset(self.given) if names is None else names
            if not path:
                return None
            path.pop()


def make_step(content: Content, given: Mapping[str, Json], substituter: Substituter) -> Step:
    """Complete the parameters and put them into the template's config."""
    found = Step(content=content, given=given)
    wrong = faults(dict(given))
    if wrong:
        return replace(found, errors=tuple(wrong))
    values, wrong = complete(content.parameters, given)
    if wrong:
        return replace(found, values=values, errors=tuple(wrong))
    filled = fill(content.step_type, content.config, values, substituter)
    found = replace(found, values=values, filled=filled)
    return replace(found, errors=tuple(_errors(found, filled.errors)))


def _errors(step: Step, errors: Mapping[str, ExpressionError]) -> Iterable[Fault]:
    """What the parameters made impossible, told at the parameter that did."""
    for pointer, error in errors.items():
        names = step.filled.origins.get(pointer) or frozenset()
        missing = sorted(names - step.values.keys())
        if error.code == "expression_undefined" and missing:
            detail = f"the template reads it at config{pointer}, and it has no default"
            yield Fault(pointer=pointer_of(missing[:1]), code="required", detail=detail)
        else:
            at = pointer_of(step.blame(Fault(pointer=pointer, code="", detail="")) or ())
            yield Fault(pointer=at, code=error.code, detail=f"in the template's config{pointer}: {error.message}")
