"""Prompts with variables: `{{ name }}` in the language of expressions, over what is given and nothing else."""

from collections.abc import Mapping

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of
from flowforge.kernel.expressions import ExpressionError, TextTemplate


class PromptFaults(Exception):
    """The variables do not fit the prompt; each fault at its place among them."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer.removeprefix('/')}: {fault.detail}" for fault in faults))
        self.faults = faults


def variables_of(text: str) -> list[str]:
    """The names that a prompt reads, sorted. Raises ExpressionError `expression_syntax`."""
    return _names(TextTemplate(text))


def fill(text: str, variables: Mapping[str, Json]) -> str:
    """The prompt's text with its variables in place. What they hold is data: it is never read as a prompt.

    Raises PromptFaults for a variable that is missing or that the prompt does not name, and ExpressionError as
    expressions do, also where the budget of one evaluation is spent.
    """
    template = TextTemplate(text)
    wanted = set(_names(template))
    missing = [_fault(name, "required", "the prompt reads it") for name in sorted(wanted - set(variables))]
    unknown = [_fault(name, "unknown_variable", "the prompt reads none of this name") for name in variables]
    faults = missing + [fault for name, fault in zip(variables, unknown, strict=True) if name not in wanted]
    if faults:
        raise PromptFaults(faults)
    return template.render(variables)


def syntax_faults(text: str, pointer: str) -> list[Fault]:
    """What keeps a text from being a prompt."""
    try:
        TextTemplate(text)
    except ExpressionError as error:
        place = "" if error.position is None else f" (at character {error.position})"
        return [Fault(pointer=pointer, code=error.code, detail=f"{error.message}{place}")]
    return []


def _names(template: TextTemplate) -> list[str]:
    return sorted({reference.root for reference in template.references})


def _fault(name: str, code: str, detail: str) -> Fault:
    return Fault(pointer=pointer_of([name]), code=code, detail=detail)
