"""Filters on text."""

import re

from flowforge.kernel.expressions.budget import ITEM_SIZE, Budget
from flowforge.kernel.expressions.filters.arguments import short_text, text, whole
from flowforge.kernel.expressions.registry import expression_filter
from flowforge.kernel.expressions.values import INT_MAX, Value

_WORD_START = re.compile(r"([-\s({\[<]+)")


@expression_filter("upper")
def upper(budget: Budget, value: Value) -> str:
    budget.build(len(text(value)))
    return text(value).upper()


@expression_filter("lower")
def lower(budget: Budget, value: Value) -> str:
    budget.build(len(text(value)))
    return text(value).lower()


@expression_filter("capitalize")
def capitalize(budget: Budget, value: Value) -> str:
    budget.build(len(text(value)))
    return text(value).capitalize()


@expression_filter("title")
def title(budget: Budget, value: Value) -> str:
    """Each word capitalised; unlike `str.title` an apostrophe begins no word."""
    budget.spend(len(text(value)) // 4)
    budget.build(len(value))
    return "".join(part[:1].upper() + part[1:].lower() for part in _WORD_START.split(value))


@expression_filter("trim")
def trim(budget: Budget, value: Value, chars: Value = None) -> str:
    """Without white space, or without the given characters, at both ends."""
    budget.build(len(text(value)))
    return text(value).strip(None if chars is None else short_text(chars, "the characters"))


@expression_filter("replace")
def replace(budget: Budget, value: Value, old: Value, new: Value, count: Value = None) -> str:
    """Every `old` (or the first `count` of them) replaced by `new`; plain text, no patterns."""
    old, new = text(old, "what is replaced"), text(new, "the replacement")
    budget.read(text(value))
    found = value.count(old)
    if count is not None:
        found = min(found, whole(count, "the count", 0, INT_MAX))
    budget.build(len(value) + found * max(len(new) - len(old), 0))
    return text(value).replace(old, new, found)


@expression_filter("split")
def split(budget: Budget, value: Value, separator: Value = None, maxsplit: Value = -1) -> list[str]:
    """The parts between the separators, or between white space."""
    if separator is not None and text(separator, "the separator") == "":
        separator = None
    most = whole(maxsplit, "maxsplit", -1, INT_MAX)
    affordable = budget.size_left // ITEM_SIZE
    budget.build(len(text(value)))
    parts = text(value).split(separator, affordable if most < 0 else min(most, affordable))
    budget.build_items(len(parts))
    return parts


@expression_filter("startswith")
def startswith(budget: Budget, value: Value, prefix: Value) -> bool:
    budget.read(text(prefix, "the beginning"))
    return text(value).startswith(prefix)


@expression_filter("endswith")
def endswith(budget: Budget, value: Value, suffix: Value) -> bool:
    budget.read(text(suffix, "the end"))
    return text(value).endswith(suffix)
