"""Filters on lists. Where items are compared, numbers are compared with numbers and text with text."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from flowforge.core import json
from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import evaluation_error
from flowforge.kernel.expressions.filters.arguments import existing_attribute, items, members, numeric, text, whole
from flowforge.kernel.expressions.registry import expression_filter
from flowforge.kernel.expressions.values import (
    Undefined,
    Value,
    fresh,
    is_list,
    is_number,
    kind,
    number,
    to_text,
    truthy,
)

_MOST_SLICES = 10_000


@expression_filter("first")
def first(_budget: Budget, value: Value) -> Value:
    """The first item of a list or character of a text; undefined if it is empty."""
    return value[0] if len(_row(value)) else Undefined("the first item of an empty value")


@expression_filter("last")
def last(_budget: Budget, value: Value) -> Value:
    return value[-1] if len(_row(value)) else Undefined("the last item of an empty value")


@expression_filter("reverse")
def reverse(budget: Budget, value: Value) -> Value:
    """The items of a list, or the characters of a text, from the last to the first."""
    if isinstance(value, str):
        budget.build(len(value))
    else:
        budget.build_items(len(items(value, budget)))
    return value[::-1]


@expression_filter("list")
def to_list(budget: Budget, value: Value) -> list[Any]:
    """A list as it is, the characters of a text, the keys of an object."""
    if isinstance(value, str):
        budget.spend(len(value))
    elif not is_list(value):
        value = members(value, budget)
    budget.build_items(len(value))
    return list(value)


@expression_filter("join")
def join(budget: Budget, value: Value, separator: Value = "", attribute: Value = None) -> str:
    """The items as text, one after the other."""
    between = text(separator, "the separator")
    found = [to_text(item, budget) for item in _column(value, attribute, budget)]
    budget.build(len(between) * max(len(found) - 1, 0))
    return between.join(found)


@expression_filter("sum")
def total(budget: Budget, value: Value, attribute: Value = None, start: Value = 0) -> int | float:
    found = [numeric(item, "each item") for item in _column(value, attribute, budget)]
    return number(sum(found, numeric(start, "the start")))


@expression_filter("min")
def smallest(budget: Budget, value: Value, attribute: Value = None, case_sensitive: Value = True) -> Value:
    """The smallest item; undefined if there is none."""
    return _extreme(min, value, attribute, case_sensitive, budget)


@expression_filter("max")
def largest(budget: Budget, value: Value, attribute: Value = None, case_sensitive: Value = True) -> Value:
    """The largest item; undefined if there is none."""
    return _extreme(max, value, attribute, case_sensitive, budget)


@expression_filter("sort")
def ordered(
    budget: Budget, value: Value, reverse: Value = False, case_sensitive: Value = True, attribute: Value = None
) -> list[Any]:
    """The items in order; equal ones stay in the order that they have."""
    keys = _sort_keys(_column(value, attribute, budget), case_sensitive, budget)
    budget.build_items(len(keys))
    order = sorted(range(len(keys)), key=keys.__getitem__, reverse=truthy(reverse))
    return [value[index] for index in order]


@expression_filter("unique")
def unique(budget: Budget, value: Value, case_sensitive: Value = True, attribute: Value = None) -> list[Any]:
    """The first of each group of equal items."""
    column = _column(value, attribute, budget)
    budget.build_items(len(column))
    found: dict[Any, Value] = {}
    for item, key in zip(value, column, strict=True):
        found.setdefault(_identity(key, truthy(case_sensitive), budget), item)
    return list(found.values())


@expression_filter("flatten")
def flatten(budget: Budget, value: Value) -> list[Any]:
    """The items of the lists in a list, one level deep."""
    found: list[Any] = []
    for item in items(value, budget):
        inner = items(item, budget) if is_list(item) else (item,)
        budget.build_items(len(inner))
        found.extend(inner)
    return found


@expression_filter("batch")
def batch(budget: Budget, value: Value, size: Value, fill_with: Value = None) -> list[Any]:
    """Lists of `size` items each; the last is shorter, unless it is filled up."""
    step = whole(size, "the size", 1, 1_000_000)
    found = items(value, budget)
    budget.build_items(2 * len(found))
    rows = [list(found[at : at + step]) for at in range(0, len(found), step)]
    if rows and fill_with is not None:
        missing = step - len(rows[-1])
        budget.build_items(missing)
        rows[-1] += [fill_with] * missing
    return rows


@expression_filter("slice")
def slices(budget: Budget, value: Value, count: Value) -> list[Any]:
    """`count` lists of nearly the same length; the first ones take what is over."""
    parts = whole(count, "the count", 1, _MOST_SLICES)
    found = items(value, budget)
    budget.spend(parts)
    budget.build_items(4 * parts + len(found))
    size, over = divmod(len(found), parts)
    bounds = [at * size + min(at, over) for at in range(parts + 1)]
    return [list(found[start:end]) for start, end in pairwise(bounds)]


def _row(value: Value) -> Sequence[Value]:
    if not isinstance(value, str) and not is_list(value):
        raise evaluation_error(f"the value has to be a list or text, it is {kind(value)}")
    return value  # type: ignore[no-any-return] # is_list looked


def _column(value: Value, attribute: Value, budget: Budget) -> Sequence[Value]:
    """The items, or an attribute of each."""
    found = items(value, budget)
    return found if attribute is None else [existing_attribute(item, attribute) for item in found]


def _extreme(
    choose: Callable[..., int], value: Value, attribute: Value, case_sensitive: Value, budget: Budget
) -> Value:
    keys = _sort_keys(_column(value, attribute, budget), case_sensitive, budget)
    if not keys:
        return Undefined("an extreme of an empty list")
    return value[choose(range(len(keys)), key=keys.__getitem__)]


def _sort_keys(column: Sequence[Value], case_sensitive: Value, budget: Budget) -> Sequence[Value]:
    """What to compare items by: all numbers or all text. Comparing takes log n readings of each, paid as one."""
    if all(is_number(key) for key in column):
        return column
    if not all(isinstance(key, str) for key in column):
        kinds = sorted({kind(key) for key in column})
        raise evaluation_error(f"{' and '.join(kinds[:3])} can't be put in order")
    for key in column:
        budget.read(key)
    if truthy(case_sensitive):
        return column
    for key in column:
        budget.build(len(key))
    return [key.lower() for key in column]


def _identity(key: Value, case_sensitive: bool, budget: Budget) -> Value:
    """Something hashable that is equal for equal values: an object's members may come in any order."""
    if isinstance(key, str):
        budget.build(len(key))
        return key if case_sensitive else key.lower()
    return key if key is None or is_number(key) else json.canonical(fresh(key, budget))
