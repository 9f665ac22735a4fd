"""Filters on numbers."""

import math

from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import evaluation_error
from flowforge.kernel.expressions.filters.arguments import numeric, whole
from flowforge.kernel.expressions.registry import expression_filter
from flowforge.kernel.expressions.values import Value, number


@expression_filter("abs")
def absolute(_budget: Budget, value: Value) -> int | float:
    return number(abs(numeric(value)))


@expression_filter("round")
def rounded(_budget: Budget, value: Value, precision: Value = 0, method: Value = "common") -> int | float:
    """To `precision` decimals by the method `common` (half to even), `ceil` or `floor`; a float stays a float."""
    places = whole(precision, "the precision", -20, 20)
    if method == "common":
        return number(round(numeric(value), places))
    if method not in ("ceil", "floor"):
        raise evaluation_error("the method has to be 'common', 'ceil' or 'floor'")
    scaled = numeric(value) * 10.0**places
    if not math.isfinite(scaled):
        return number(value)
    return number((math.ceil if method == "ceil" else math.floor)(scaled) / 10.0**places)
