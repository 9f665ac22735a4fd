"""`map`, `select` and their kin: filters that apply other filters and tests to each item of a list.

The others are named by text, which may be computed: all that it can name is in the registry.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import evaluation_error
from flowforge.kernel.expressions.filters import arguments
from flowforge.kernel.expressions.filters.arguments import items
from flowforge.kernel.expressions.registry import expression_filter, find_filter, find_test
from flowforge.kernel.expressions.values import Undefined, Value, truthy

Predicate = Callable[[Value], bool]


@expression_filter("map", names_filter_at=0)
def mapped(budget: Budget, value: Value, name: Value = None, *args: Value, **kwargs: Value) -> list[Any]:
    """Each item through the filter `name`, or its `attribute` (with a `default` where it has none)."""
    found = items(value, budget)
    budget.build_items(len(found))
    if name is None:
        return _attributes(found, kwargs)
    operation = find_filter(name)
    operation.check(args, kwargs)
    return [_defined(operation.function(budget, item, *args, **kwargs)) for item in found]


def _attributes(found: Sequence[Value], given: Mapping[str, Value]) -> list[Any]:
    if "attribute" not in given or not given.keys() <= {"attribute", "default"}:
        raise evaluation_error("'map' takes the name of a filter, or attribute=… and default=…")
    path = given["attribute"]
    if "default" not in given:
        return [arguments.existing_attribute(item, path) for item in found]
    looked_up = (arguments.attribute(item, path) for item in found)
    return [given["default"] if type(item) is Undefined else item for item in looked_up]


def _defined(value: Value) -> Value:
    if type(value) is Undefined:
        raise value.error()
    return value


@expression_filter("select", names_test_at=0)
def select(budget: Budget, value: Value, test: Value = None, *args: Value) -> list[Any]:
    """The items that pass the test, or that are true."""
    return _keep(value, _predicate(budget, test, args), budget)


@expression_filter("reject", names_test_at=0)
def reject(budget: Budget, value: Value, test: Value = None, *args: Value) -> list[Any]:
    """The items that don't."""
    passes = _predicate(budget, test, args)
    return _keep(value, lambda item: not passes(item), budget)


@expression_filter("selectattr", names_test_at=1)
def selectattr(budget: Budget, value: Value, attribute: Value, test: Value = None, *args: Value) -> list[Any]:
    """The items whose attribute passes the test, or is there and true."""
    passes = _predicate(budget, test, args)
    return _keep(value, lambda item: passes(arguments.attribute(item, attribute)), budget)


@expression_filter("rejectattr", names_test_at=1)
def rejectattr(budget: Budget, value: Value, attribute: Value, test: Value = None, *args: Value) -> list[Any]:
    """The items whose attribute doesn't, or isn't there."""
    passes = _predicate(budget, test, args)
    return _keep(value, lambda item: not passes(arguments.attribute(item, attribute)), budget)


def _keep(value: Value, wanted: Predicate, budget: Budget) -> list[Any]:
    found = [item for item in items(value, budget) if wanted(item)]
    budget.build_items(len(found))
    return found


def _predicate(budget: Budget, test: Value, args: Sequence[Value]) -> Predicate:
    """A function that says whether a value passes; only `defined` and `undefined` take what isn't there."""
    if test is None:
        return lambda value: type(value) is not Undefined and truthy(value)
    operation = find_test(test)
    operation.check(args, {})
    function = operation.function
    if operation.name in ("defined", "undefined"):
        return lambda value: bool(function(budget, value))
    return lambda value: bool(function(budget, _defined(value), *args))
