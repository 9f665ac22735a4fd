"""The values that expressions see: plain JSON data, read by the Mapping and Sequence protocols alone.

No Python attribute of any value is ever read by a name that an expression holds: `a.b` is `a["b"]`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from flowforge.core.json import Json
from flowforge.kernel.expressions.budget import MAX_DEPTH, Budget
from flowforge.kernel.expressions.errors import ExpressionError, budget_error, evaluation_error

Value = Any  # Json, a lazily loading Mapping or Sequence of it, or Undefined

INT_MIN, INT_MAX = -(2**63), 2**64 - 1  # what JSON of 64 bits can hold, signed or not (core.json has the same)
_SIZELESS = frozenset({int, float, bool, type(None)})  # paid for with the list or object that holds them


class Undefined:
    """What a lookup that finds nothing gives; a lookup in it gives itself, any other use is an error."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name  # what was looked up, for people: `steps.fetch.output.total`

    def error(self) -> ExpressionError:
        return ExpressionError("expression_undefined", f"{self.name} is not defined")


def kind(value: Value) -> str:
    """The type of a value in the words of JSON, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if is_list(value) else "no JSON value"


def is_object(value: Value) -> bool:
    """Plain dicts and lists are told by their type: asking the abstract classes takes ten times as long."""
    return type(value) is dict or (type(value) is not list and isinstance(value, Mapping))


def is_list(value: Value) -> bool:
    if type(value) is list:
        return True
    return type(value) is not dict and isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


def is_number(value: Value) -> bool:
    """As in Jinja and Python, true and false count as 1 and 0."""
    return isinstance(value, (int, float))


def truthy(value: Json) -> bool:
    """Whether a value counts as true: not null, false, 0, "", [] or {}; nor the text "false" in any case.

    The last one differs from Python, for the sake of a `when` that is written, or arrives, as text.
    """
    if isinstance(value, str):
        return value != "" and value[:6].lower() != "false"
    return bool(value)


def lookup(value: Value, key: Value) -> Value:
    """`value[key]`: a key of an object, an index of a list or of text. Raises KeyError if there is none."""
    if isinstance(value, Mapping):
        if isinstance(key, str):
            return value[key]
    elif type(key) is int and isinstance(value, Sequence):
        try:
            return value[key]
        except IndexError:
            raise KeyError(key) from None
    raise KeyError(key)


def number(result: int | float | complex) -> int | float:
    """A result of arithmetic, if it is one that JSON can hold."""
    if isinstance(result, int):
        if not INT_MIN <= result <= INT_MAX:
            raise budget_error("a whole number beyond 64 bits")
        return result
    if isinstance(result, complex) or not math.isfinite(result):
        raise evaluation_error("the result is no finite number")
    return result


def weigh(value: Value, budget: Budget, depth: int = 0) -> None:
    """Pay for going through a whole value, counted as a tree.

    A list may hold one big list a thousand times without taking memory; comparing or writing it takes the time of all.
    """
    if isinstance(value, str):
        budget.build(len(value))
    elif is_object(value) or is_list(value):
        _check_depth(depth)
        budget.build_items(len(value) + 1)
        for item in value.values() if is_object(value) else value:
            if type(item) not in _SIZELESS:
                weigh(item, budget, depth + 1)


def fresh(value: Value, budget: Budget, depth: int = 0) -> Json:
    """A copy that shares no list or object with the original, in plain dicts and lists.

    Text within them is paid for though it isn't copied: whoever writes the value down has to write all of it.
    """
    if type(value) in _SIZELESS:
        return value
    if type(value) is str:
        if depth:
            budget.build(len(value))
        return value
    if is_object(value):
        _check_depth(depth)
        budget.build_items(len(value) + 1)
        return {key: item if type(item) in _SIZELESS else fresh(item, budget, depth + 1) for key, item in value.items()}
    if is_list(value):
        _check_depth(depth)
        budget.build_items(len(value) + 1)
        return [item if type(item) in _SIZELESS else fresh(item, budget, depth + 1) for item in value]
    if type(value) is Undefined:
        raise value.error()
    raise evaluation_error(f"a value of the type {type(value).__name__} is no JSON")


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise budget_error(f"the value is nested deeper than {MAX_DEPTH}")


def to_text(value: Value, budget: Budget) -> str:
    """A value as part of a text: null is empty, text itself, everything else JSON. The text is paid for."""
    if isinstance(value, str):
        budget.build(len(value))
        return value
    if value is None:
        return ""
    written = orjson.dumps(fresh(value, budget)).decode()
    budget.build(len(written))
    return written
