"""Filters from one type to another, and `default`."""

import math

from flowforge.core import json
from flowforge.core.json import Json, JsonError
from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import evaluation_error
from flowforge.kernel.expressions.filters.arguments import text, whole
from flowforge.kernel.expressions.registry import expression_filter
from flowforge.kernel.expressions.values import Value, fresh, kind, number, to_text, truthy, weigh

_LONGEST_NUMBER = 400  # characters; int() takes quadratic time
_JSON_STEPS = 5  # what it costs to begin reading
_JSON_STEP = 16  # characters of JSON that are read in about the time of one step
_REQUIRED = object()


@expression_filter("default", "d")
def default(_budget: Budget, value: Value, default_value: Value = "", boolean: Value = False) -> Value:
    """What `map("default", …)` calls; `value | default(…)` itself is compiled, as it must see what is undefined."""
    return default_value if truthy(boolean) and not truthy(value) else value


@expression_filter("int")
def to_int(_budget: Budget, value: Value, default: Value = _REQUIRED, base: Value = 10) -> Value:
    """A whole number: fractions are cut off, text is read. What is no number is `default`, or an error without."""
    radix = whole(base, "the base", 2, 36)
    try:
        return number(_read_int(value, radix))
    except ValueError:
        return _fallback(value, "a whole number", default)


def _read_int(value: Value, radix: int) -> int:
    """Raises ValueError if there is no number in it."""
    if isinstance(value, (int, float)):
        return int(value)
    if not isinstance(value, str) or len(value) > _LONGEST_NUMBER:
        raise ValueError(kind(value))
    try:
        return int(value, radix)
    except ValueError:
        if radix != 10:
            raise
        return int(_read_float(value))


@expression_filter("float")
def to_float(_budget: Budget, value: Value, default: Value = _REQUIRED) -> Value:
    """A number with a fraction; what is no number is `default`, or an error without."""
    try:
        return _read_float(value)
    except ValueError:
        return _fallback(value, "a number", default)


def _read_float(value: Value) -> float:
    """Raises ValueError if there is no finite number in it."""
    if (isinstance(value, str) and len(value) <= _LONGEST_NUMBER) or isinstance(value, (int, float)):
        found = float(value)
        if math.isfinite(found):
            return found
    raise ValueError(kind(value))


def _fallback(value: Value, wanted: str, default: Value) -> Value:
    if default is not _REQUIRED:
        return default
    shown = f"the text {value[:40]!r}" if isinstance(value, str) else kind(value)
    raise evaluation_error(f"{shown} is not {wanted}")


@expression_filter("string")
def to_string(budget: Budget, value: Value) -> str:
    """As it would stand within a text: null is empty, an object or a list JSON."""
    return to_text(value, budget)


@expression_filter("bool")
def to_bool(_budget: Budget, value: Value) -> bool:
    return truthy(value)


@expression_filter("tojson")
def to_json(budget: Budget, value: Value) -> str:
    """Compact JSON; text gets its quotes."""
    written = json.text(fresh(value, budget))
    budget.build(len(written))
    return written


@expression_filter("fromjson")
def from_json(budget: Budget, value: Value) -> Json:
    """The value that a JSON text stands for; as strict as the API's door about duplicate keys, NaN and depth."""
    budget.spend(_JSON_STEPS + len(text(value)) // _JSON_STEP)
    try:
        found = json.loads(text(value).encode())
    except JsonError as error:
        raise evaluation_error(f"the text is no JSON: {str(error)[:100]}") from None
    weigh(found, budget)
    return found
