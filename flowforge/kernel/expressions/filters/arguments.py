"""Checks of what filters are given: each returns the argument in the type that it has to have, or says why not."""

from collections.abc import Mapping, Sequence

from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import evaluation_error
from flowforge.kernel.expressions.values import Undefined, Value, is_list, is_number, kind, lookup

_LOOP_STEPS = 2  # what it costs to begin one, so that many short lists cost as much as a long one


def text(value: Value, what: str = "the value") -> str:
    if not isinstance(value, str):
        raise evaluation_error(f"{what} has to be text, it is {kind(value)}")
    return value


def short_text(value: Value, what: str, longest: int = 100) -> str:
    """A text of at most `longest` characters: where the work grows with the argument, or with its square."""
    if len(text(value, what)) > longest:
        raise evaluation_error(f"{what} is longer than {longest} characters")
    return str(value)


def whole(value: Value, what: str, least: int, most: int) -> int:
    """A whole number within bounds, both included."""
    if type(value) is not int or not least <= value <= most:
        raise evaluation_error(f"{what} has to be a whole number from {least} to {most}")
    return value


def numeric(value: Value, what: str = "the value") -> int | float:
    if not is_number(value):
        raise evaluation_error(f"{what} has to be a number, it is {kind(value)}")
    return value  # type: ignore[no-any-return] # is_number looked


def items(value: Value, budget: Budget) -> Sequence[Value]:
    """A list, going through which is paid for. Text is no list of characters here: that is mostly a mistake."""
    if not is_list(value):
        raise evaluation_error(f"the value has to be a list, it is {kind(value)}")
    budget.spend(_LOOP_STEPS + len(value))
    return value  # type: ignore[no-any-return] # is_list looked


def members(value: Value, budget: Budget) -> Mapping[str, Value]:
    """An object, going through which is paid for."""
    if not isinstance(value, Mapping):
        raise evaluation_error(f"the value has to be an object, it is {kind(value)}")
    budget.spend(_LOOP_STEPS + len(value))
    return value


def attribute(value: Value, path: Value) -> Value:
    """What a dotted path such as `customer.name` or `lines.0` leads to in an item; Undefined if nowhere."""
    for key in text(path, "the attribute").split("."):
        try:
            value = lookup(value, int(key) if key.isdecimal() and is_list(value) else key)
        except KeyError:
            return Undefined(f"the attribute {path[:80]!r} of an item")
    return value


def existing_attribute(value: Value, path: Value) -> Value:
    """The same; an item without it is an error."""
    found = attribute(value, path)
    if type(found) is Undefined:
        raise found.error()
    return found
