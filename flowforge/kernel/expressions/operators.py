"""Arithmetic, comparison and membership over JSON values. Every function pays before it works."""

from collections.abc import Callable, Mapping
from typing import Any

from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import ExpressionError, budget_error, evaluation_error
from flowforge.kernel.expressions.values import Value, is_list, is_number, kind, number, weigh

Operator = Callable[[Value, Value, Budget], Any]


def add(left: Value, right: Value, budget: Budget) -> Value:
    """Sum of numbers, two texts or two lists joined."""
    if is_number(left) and is_number(right):
        return number(left + right)
    if isinstance(left, str) and isinstance(right, str):
        budget.build(len(left) + len(right))
        return left + right
    if is_list(left) and is_list(right):
        budget.build_items(len(left) + len(right))
        return [*left, *right]
    raise _unsupported("+", left, right)


def subtract(left: Value, right: Value, _budget: Budget) -> Value:
    _require_numbers("-", left, right)
    return number(left - right)


def multiply(left: Value, right: Value, budget: Budget) -> Value:
    """Product of numbers; a text or a list repeated."""
    if is_number(left) and is_number(right):
        return number(left * right)
    if isinstance(right, (str, list)):
        left, right = right, left
    if isinstance(right, int):
        if isinstance(left, str):
            budget.build(len(left) * max(right, 0))
            return left * right
        if is_list(left):
            budget.build_items(len(left) * max(right, 0))
            return list(left) * right
    raise _unsupported("*", left, right)


def divide(left: Value, right: Value, _budget: Budget) -> Value:
    _require_divisor("/", left, right)
    return number(left / right)


def floor_divide(left: Value, right: Value, _budget: Budget) -> Value:
    _require_divisor("//", left, right)
    return number(left // right)


def modulo(left: Value, right: Value, _budget: Budget) -> Value:
    """Remainder of numbers alone: formatting of text by `%` reaches attributes in Python, and is refused."""
    _require_divisor("%", left, right)
    return number(left % right)


def power(left: Value, right: Value, _budget: Budget) -> Value:
    _require_numbers("**", left, right)
    if isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and right > 64:
        raise budget_error("a whole number beyond 64 bits")
    if left == 0 and right < 0:
        raise evaluation_error("division by zero")
    try:
        return number(left**right)
    except OverflowError:
        raise evaluation_error("the result is no finite number") from None


def equal(left: Value, right: Value, budget: Budget) -> bool:
    """Equality of any two values; those of unlike types differ (but 1 == 1.0 == true, as in Python)."""
    if isinstance(left, str) and isinstance(right, str):
        budget.read(left)
    elif isinstance(left, Mapping) or is_list(left):
        if not (isinstance(right, Mapping) or is_list(right)):
            return False
        weigh(left, budget)
        if isinstance(left, Mapping) is not isinstance(right, Mapping):
            return False
    return bool(left == right)


def not_equal(left: Value, right: Value, budget: Budget) -> bool:
    return not equal(left, right, budget)


def less(left: Value, right: Value, budget: Budget) -> bool:
    _require_order("<", left, right, budget)
    return bool(left < right)


def less_or_equal(left: Value, right: Value, budget: Budget) -> bool:
    _require_order("<=", left, right, budget)
    return bool(left <= right)


def greater(left: Value, right: Value, budget: Budget) -> bool:
    _require_order(">", left, right, budget)
    return bool(left > right)


def greater_or_equal(left: Value, right: Value, budget: Budget) -> bool:
    _require_order(">=", left, right, budget)
    return bool(left >= right)


def contains(needle: Value, container: Value, budget: Budget) -> bool:
    """`needle in container`: part of a text, item of a list, key of an object."""
    if isinstance(container, str):
        if not isinstance(needle, str):
            raise evaluation_error(f"{kind(needle)} can't be part of text")
        budget.read(container)
        return needle in container
    if isinstance(container, Mapping):
        return isinstance(needle, str) and needle in container
    if is_list(container):
        return any(equal(item, needle, budget) for item in _paid(container, budget))
    raise evaluation_error(f"{kind(container)} holds nothing that 'in' could find")


def not_contains(needle: Value, container: Value, budget: Budget) -> bool:
    return not contains(needle, container, budget)


def _paid(items: Value, budget: Budget) -> Value:
    budget.spend(len(items))
    return items


def _unsupported(symbol: str, left: Value, right: Value) -> ExpressionError:
    return evaluation_error(f"'{symbol}' doesn't work on {kind(left)} and {kind(right)}")


def _require_numbers(symbol: str, left: Value, right: Value) -> None:
    if not (is_number(left) and is_number(right)):
        raise _unsupported(symbol, left, right)


def _require_divisor(symbol: str, left: Value, right: Value) -> None:
    _require_numbers(symbol, left, right)
    if right == 0:
        raise evaluation_error("division by zero")


def _require_order(symbol: str, left: Value, right: Value, budget: Budget) -> None:
    if isinstance(left, str) and isinstance(right, str):
        budget.read(left)
    elif not (is_number(left) and is_number(right)):
        raise _unsupported(symbol, left, right)
