"""Filters on objects, and those that work on every container."""

from typing import Any

from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import evaluation_error
from flowforge.kernel.expressions.filters.arguments import members
from flowforge.kernel.expressions.registry import expression_filter
from flowforge.kernel.expressions.values import Value, kind


@expression_filter("length", "count")
def length(_budget: Budget, value: Value) -> int:
    """Characters of a text, items of a list, keys of an object."""
    try:
        return len(value)
    except TypeError:
        raise evaluation_error(f"{kind(value)} has no length") from None


@expression_filter("items")
def items(budget: Budget, value: Value) -> list[Any]:
    """The object's members as pairs of key and value, in order."""
    found = members(value, budget)
    budget.build_items(3 * len(found))
    return [[key, item] for key, item in found.items()]


@expression_filter("keys")
def keys(budget: Budget, value: Value) -> list[str]:
    found = members(value, budget)
    budget.build_items(len(found))
    return list(found)


@expression_filter("values")
def values(budget: Budget, value: Value) -> list[Any]:
    found = members(value, budget)
    budget.build_items(len(found))
    return list(found.values())


@expression_filter("combine")
def combine(budget: Budget, value: Value, *others: Value) -> dict[str, Any]:
    """One object of the members of several; the later ones win."""
    found: dict[str, Any] = {}
    for one in (value, *others):
        budget.build_items(len(members(one, budget)))
        found.update(one)
    return found
