"""The tests: `value is name`, and what `select`, `reject`, `selectattr` and `rejectattr` name."""

from collections.abc import Mapping

from flowforge.kernel.expressions import operators
from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.filters import texts
from flowforge.kernel.expressions.filters.arguments import numeric
from flowforge.kernel.expressions.operators import Operator
from flowforge.kernel.expressions.registry import expression_test
from flowforge.kernel.expressions.values import Undefined, Value, is_list, is_number


def _offer(operator: Operator, *names: str) -> None:
    """Offer a binary operator as a test of the value against its argument."""

    @expression_test(*names)
    def test(budget: Budget, value: Value, other: Value) -> bool:
        return bool(operator(value, other, budget))


_offer(operators.equal, "eq", "equalto", "==")
_offer(operators.not_equal, "ne", "!=")
_offer(operators.less, "lt", "lessthan", "<")
_offer(operators.less_or_equal, "le", "<=")
_offer(operators.greater, "gt", "greaterthan", ">")
_offer(operators.greater_or_equal, "ge", ">=")
_offer(operators.contains, "in")

expression_test("startswith")(texts.startswith)
expression_test("endswith")(texts.endswith)


@expression_test("contains")
def contains(budget: Budget, value: Value, item: Value) -> bool:
    """`in`, seen from the other side: for `selectattr("tags", "contains", "urgent")`."""
    return operators.contains(item, value, budget)


@expression_test("defined")
def defined(_budget: Budget, value: Value) -> bool:
    return type(value) is not Undefined


@expression_test("undefined")
def undefined(_budget: Budget, value: Value) -> bool:
    return type(value) is Undefined


@expression_test("none", "null")
def none(_budget: Budget, value: Value) -> bool:
    return value is None


@expression_test("true")
def true(_budget: Budget, value: Value) -> bool:
    return value is True


@expression_test("false")
def false(_budget: Budget, value: Value) -> bool:
    return value is False


@expression_test("boolean")
def boolean(_budget: Budget, value: Value) -> bool:
    return isinstance(value, bool)


@expression_test("integer")
def integer(_budget: Budget, value: Value) -> bool:
    return type(value) is int


@expression_test("float")
def floating(_budget: Budget, value: Value) -> bool:
    return isinstance(value, float)


@expression_test("number")
def number(_budget: Budget, value: Value) -> bool:
    """A number proper: true and false, which count as 1 and 0 elsewhere, are none."""
    return is_number(value) and not isinstance(value, bool)


@expression_test("string")
def string(_budget: Budget, value: Value) -> bool:
    return isinstance(value, str)


@expression_test("mapping")
def mapping(_budget: Budget, value: Value) -> bool:
    return isinstance(value, Mapping)


@expression_test("sequence", "list")
def sequence(_budget: Budget, value: Value) -> bool:
    """A list. Unlike in Jinja text is none, as it is no list to the filters either."""
    return is_list(value)


@expression_test("iterable")
def iterable(_budget: Budget, value: Value) -> bool:
    return isinstance(value, (str, Mapping)) or is_list(value)


@expression_test("even")
def even(_budget: Budget, value: Value) -> bool:
    return numeric(value) % 2 == 0


@expression_test("odd")
def odd(_budget: Budget, value: Value) -> bool:
    return numeric(value) % 2 == 1


@expression_test("divisibleby")
def divisibleby(budget: Budget, value: Value, divisor: Value) -> bool:
    return bool(operators.modulo(value, divisor, budget) == 0)
