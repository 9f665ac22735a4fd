"""A single expression, compiled once, evaluated often, from any thread."""

from flowforge.core.json import Json
from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.closures import Evaluate, Scope, located, strict
from flowforge.kernel.expressions.compiler import Compiler
from flowforge.kernel.expressions.errors import ExpressionError, budget_error, evaluation_error, syntax_error
from flowforge.kernel.expressions.parser import Source, parse, split
from flowforge.kernel.expressions.references import Reference
from flowforge.kernel.expressions.values import Value, fresh, to_text


class Expression:
    """An expression that parsed. Immutable.

    `result(scope, budget)` and `text(scope, budget)` are its value and the text of it, on the budget of a template.
    """

    __slots__ = ("_cost", "_evaluate", "_position", "references", "result", "text")

    def __init__(self, source: Source) -> None:
        """Raises ExpressionError `expression_syntax`."""
        compiler = Compiler()
        tree = parse(source)
        self._evaluate: Evaluate = strict(compiler.compile(tree), tree.lineno)
        self._cost = compiler.cost
        self._position = source.offset
        self.references: frozenset[Reference] = frozenset(compiler.references)
        self.result: Evaluate = located(self._result, source.offset)
        self.text: Evaluate = located(self._text, source.offset)

    def evaluate(self, scope: Scope) -> Json:
        """The value, sharing no list or object with the scope.

        Raises ExpressionError of every code but `expression_syntax`.
        """
        return self.result(scope, Budget())

    def _result(self, scope: Scope, budget: Budget) -> Json:
        return fresh(self._value(scope, budget), budget)

    def _text(self, scope: Scope, budget: Budget) -> str:
        return to_text(self._value(scope, budget), budget)

    def _value(self, scope: Scope, budget: Budget) -> Value:
        """The value as it is, perhaps part of the scope."""
        budget.spend(self._cost)
        try:
            return self._evaluate(scope, budget)
        except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
            raise _translate(error, self._position) from error


def compile_expression(text: str) -> Expression:
    """Compile `a > 1` or `{{ a > 1 }}`. Raises ExpressionError `expression_syntax`."""
    if not text.lstrip().startswith("{{"):
        return Expression(Source(text, 0))
    parts = split(text)
    before, source, after = parts[0], parts[1], parts[2]
    if len(parts) > 3 or not isinstance(source, Source) or f"{before}{after}".strip():
        raise syntax_error("one expression is wanted; put all of it between one pair of '{{' and '}}'")
    return Expression(source)


def _translate(error: Exception, position: int) -> ExpressionError:
    """The last wall: filters check their arguments, what they overlook still ends as the expression's error."""
    if isinstance(error, RecursionError):
        translated = budget_error("the expression or a value is nested too deeply")
    else:
        translated = evaluation_error(f"the values don't fit: {error}"[:200])
    translated.position = position
    return translated
