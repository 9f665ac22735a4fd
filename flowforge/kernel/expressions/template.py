"""JSON values whose texts may hold `{{ … }}`. What a template gives is data: it is never rendered again."""

from collections import ChainMap
from collections.abc import Callable, Mapping
from datetime import datetime

from flowforge.core.clock import isoformat
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.kernel.expressions.budget import MAX_DEPTH, Budget
from flowforge.kernel.expressions.closures import Scope
from flowforge.kernel.expressions.errors import ExpressionError, syntax_error
from flowforge.kernel.expressions.expression import Expression
from flowforge.kernel.expressions.parser import Source, split
from flowforge.kernel.expressions.references import Reference

Render = Callable[[Scope, Budget], Json]


class Template:
    """A JSON value that was compiled. Immutable; safe to render from several threads at once."""

    __slots__ = ("_reads_now", "_render", "is_constant", "references")

    def __init__(self, value: Json) -> None:
        """Raises ExpressionError `expression_syntax`."""
        expressions: list[Expression] = []
        self._render = _compile(value, expressions, 0)
        self.is_constant = not expressions  # rendering gives the same for every scope
        self.references: frozenset[Reference] = frozenset().union(*(one.references for one in expressions))
        self._reads_now = any(reference.root == "now" for reference in self.references)

    def render(self, scope: Scope, *, now: datetime | None = None) -> Json:
        """The value with its expressions evaluated, sharing no list or object with the scope or the template.

        One budget is shared by all its expressions. `now`, if given, is what that name stands for in place of the
        scope's. Raises ExpressionError of every code but `expression_syntax`.
        """
        if now is not None and self._reads_now:
            scope = ChainMap({"now": isoformat(now)}, scope)  # type: ignore[arg-type]  # it is only read
        return self._render(scope, Budget())


class TextTemplate:
    """A text with expressions in it, that gives a text. Immutable; safe to render from several threads at once."""

    __slots__ = ("_parts", "references")

    def __init__(self, text: str) -> None:
        """Raises ExpressionError `expression_syntax`."""
        self._parts = _parts(text)
        found = [part.references for part in self._parts if isinstance(part, Expression)]
        self.references: frozenset[Reference] = frozenset().union(*found)

    def render(self, scope: Scope) -> str:
        """The text with the texts of its expressions in place, on one budget.

        Raises ExpressionError of every code but `expression_syntax`.
        """
        return _text_of(self._parts, scope, Budget())


def compile_template(value: Json) -> Template:
    """Compile any JSON value; keys of objects are taken as they are.

    Raises ExpressionError `expression_syntax` at the first text that doesn't parse; `faults` finds them all.
    """
    return Template(value)


def faults(value: Json) -> list[Fault]:
    """Every text within a JSON value that doesn't parse, by its place in it."""
    found: list[Fault] = []
    _collect_faults(value, "", found)
    return found


def _collect_faults(value: Json, pointer: str, found: list[Fault]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect_faults(item, f"{pointer}/{_escape(key)}", found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect_faults(item, f"{pointer}/{index}", found)
    elif isinstance(value, str) and "{{" in value:
        try:
            _compile_text(value, [])
        except ExpressionError as error:
            found.append(Fault(pointer=pointer, code=error.code, detail=_detail(error)))


def _escape(key: str) -> str:
    """A key as a token of a JSON pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def _detail(error: ExpressionError) -> str:
    return error.message if error.position is None else f"{error.message} (at character {error.position})"


# --- compiling: each function adds the expressions that it meets to the list ------------------------------------------


def _compile(value: Json, expressions: list[Expression], depth: int) -> Render:
    if depth > MAX_DEPTH:
        raise syntax_error(f"the value is nested deeper than {MAX_DEPTH}")
    if isinstance(value, str) and "{{" in value:
        return _compile_text(value, expressions)
    before = len(expressions)
    if isinstance(value, Mapping):
        members = {key: _compile(item, expressions, depth + 1) for key, item in value.items()}
        render: Render = _render_object(members)
    elif isinstance(value, list):
        render = _render_list([_compile(item, expressions, depth + 1) for item in value])
    else:
        return lambda _scope, _budget: value
    return render if len(expressions) > before else _render_constant(value)


def _compile_text(text: str, expressions: list[Expression]) -> Render:
    """One expression alone keeps its value's type; with text around it, it becomes part of the text."""
    parts = _parts(text)
    found = [part for part in parts if isinstance(part, Expression)]
    expressions += found
    if len(found) == 1 and not any(isinstance(part, str) and part.strip() for part in parts):
        return found[0].result
    return _render_text(parts)


def _parts(text: str) -> list[str | Expression]:
    return [Expression(part) if isinstance(part, Source) else part for part in split(text)]


def _render_text(parts: list[str | Expression]) -> Render:
    return lambda scope, budget: _text_of(parts, scope, budget)


def _text_of(parts: list[str | Expression], scope: Scope, budget: Budget) -> str:
    return "".join([part if isinstance(part, str) else part.text(scope, budget) for part in parts])


def _render_object(members: Mapping[str, Render]) -> Render:
    return lambda scope, budget: {key: render(scope, budget) for key, render in members.items()}


def _render_list(items: list[Render]) -> Render:
    return lambda scope, budget: [render(scope, budget) for render in items]


def _render_constant(value: Json) -> Render:
    """A subtree without expressions: copied as a whole, on nobody's budget (its size was the author's)."""
    kept = _copy(value)
    return lambda _scope, _budget: _copy(kept)


def _copy(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
