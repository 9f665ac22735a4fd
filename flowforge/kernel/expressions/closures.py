"""The pieces that compiled expressions are made of: functions that give an `Evaluate`, knowing no syntax tree.

Undefined flows through lookups, conditionals and filters that may find nothing; everything else is given `strict`
operands, which raise `expression_undefined` instead.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flowforge.kernel.expressions.budget import Budget
from flowforge.kernel.expressions.errors import ExpressionError, evaluation_error
from flowforge.kernel.expressions.operators import Operator
from flowforge.kernel.expressions.references import Key
from flowforge.kernel.expressions.registry import Operation
from flowforge.kernel.expressions.values import Undefined, Value, is_list, kind, lookup, number, to_text, truthy

Scope = Mapping[str, Any]
Evaluate = Callable[[Scope, Budget], Value]


def constant(value: Value) -> Evaluate:
    return lambda _scope, _budget: value


def path(keys: Sequence[Key]) -> Evaluate:
    """The value at these keys of the scope: what nearly all expressions are, so the fastest of them."""

    def evaluate(scope: Scope, _budget: Budget) -> Value:
        value: Value = scope
        try:
            for key in keys:
                value = value[key] if type(value) is dict else lookup(value, key)
        except KeyError:
            return _missing(scope, keys)
        return value

    return evaluate


def _missing(scope: Scope, keys: Sequence[Key]) -> Undefined:
    """Which of the keys was the first that led nowhere."""
    value: Value = scope
    found: list[str] = []
    for key in keys:
        found.append(str(key)[:80])
        try:
            value = lookup(value, key)
        except KeyError:
            break
    return Undefined(".".join(found))


def dig(subject: Evaluate, keys: Sequence[Key]) -> Evaluate:
    """The value at these keys of a computed value."""

    def evaluate(scope: Scope, budget: Budget) -> Value:
        value = subject(scope, budget)
        for key in keys:
            value = _subscript(value, key)
        return value

    return evaluate


def subscript(subject: Evaluate, key: Evaluate) -> Evaluate:
    def evaluate(scope: Scope, budget: Budget) -> Value:
        at = key(scope, budget)
        if not isinstance(at, str) and type(at) is not int:
            raise evaluation_error(f"{kind(at)} is neither a key nor an index")
        return _subscript(subject(scope, budget), at)

    return evaluate


def _subscript(value: Value, key: Key) -> Value:
    if type(value) is Undefined:
        return value
    try:
        return lookup(value, key)
    except KeyError:
        return Undefined(f"{str(key)[:80]!r} of {kind(value)}")


def slice_of(subject: Evaluate, bounds: Sequence[Evaluate]) -> Evaluate:
    """Part of a text or a list, `subject[start:stop:step]`; a bound that isn't given is null."""

    def evaluate(scope: Scope, budget: Budget) -> Value:
        value = subject(scope, budget)
        at = [bound(scope, budget) for bound in bounds]
        if not all(bound is None or type(bound) is int for bound in at) or at[2] == 0:
            raise evaluation_error("a slice is bounded by whole numbers, its step is not 0")
        if isinstance(value, str):
            budget.build(len(value))
        elif is_list(value):
            budget.build_items(len(value))
        else:
            raise evaluation_error(f"{kind(value)} has no slices")
        return value[slice(*at)]

    return evaluate


def list_of(items: Sequence[Evaluate]) -> Evaluate:
    def evaluate(scope: Scope, budget: Budget) -> Value:
        return [item(scope, budget) for item in items]

    return evaluate


def object_of(pairs: Sequence[tuple[Evaluate, Evaluate]]) -> Evaluate:
    def evaluate(scope: Scope, budget: Budget) -> Value:
        found = {}
        for key, item in pairs:
            name = key(scope, budget)
            if not isinstance(name, str):
                raise evaluation_error(f"{kind(name)} can't be a key of an object")
            found[name] = item(scope, budget)
        return found

    return evaluate


def all_of(operands: Sequence[Evaluate]) -> Evaluate:
    """`a and b and …`: the first value that isn't true, or the last."""

    def evaluate(scope: Scope, budget: Budget) -> Value:
        for operand in operands:
            value = operand(scope, budget)
            if not truthy(value):
                break
        return value

    return evaluate


def any_of(operands: Sequence[Evaluate]) -> Evaluate:
    """`a or b or …`: the first value that is true, or the last."""

    def evaluate(scope: Scope, budget: Budget) -> Value:
        for operand in operands:
            value = operand(scope, budget)
            if truthy(value):
                break
        return value

    return evaluate


def negation(operand: Evaluate) -> Evaluate:
    return lambda scope, budget: not truthy(operand(scope, budget))


def signed(operand: Evaluate, sign: int) -> Evaluate:
    def evaluate(scope: Scope, budget: Budget) -> Value:
        value = operand(scope, budget)
        if not isinstance(value, (int, float)):
            raise evaluation_error(f"{kind(value)} has no sign")
        return number(sign * value)

    return evaluate


def conditional(test: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    def evaluate(scope: Scope, budget: Budget) -> Value:
        return (then if truthy(test(scope, budget)) else otherwise)(scope, budget)

    return evaluate


def binary(operator: Operator, left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda scope, budget: operator(left(scope, budget), right(scope, budget), budget)


def comparison(first: Evaluate, rest: Sequence[tuple[Operator, Evaluate]]) -> Evaluate:
    """`a < b <= c`: true if each pair of neighbours compares so."""

    def evaluate(scope: Scope, budget: Budget) -> Value:
        left = first(scope, budget)
        for operator, operand in rest:
            right = operand(scope, budget)
            if not operator(left, right, budget):
                return False
            left = right
        return True

    return evaluate


def concatenation(parts: Sequence[Evaluate]) -> Evaluate:
    def evaluate(scope: Scope, budget: Budget) -> Value:
        return "".join([to_text(part(scope, budget), budget) for part in parts])

    return evaluate


def call(operation: Operation, subject: Evaluate, args: Sequence[Evaluate], kwargs: Mapping[str, Evaluate]) -> Evaluate:
    """A filter or test applied to a value."""
    function = operation.function

    def evaluate(scope: Scope, budget: Budget) -> Value:
        return function(
            budget,
            subject(scope, budget),
            *[arg(scope, budget) for arg in args],
            **{name: arg(scope, budget) for name, arg in kwargs.items()},
        )

    return evaluate


def fallback(subject: Evaluate, substitute: Evaluate, also_if_false: Evaluate) -> Evaluate:
    """`subject | default(substitute, also_if_false)`; the substitute is evaluated only if it is needed."""

    def evaluate(scope: Scope, budget: Budget) -> Value:
        value = subject(scope, budget)
        if type(value) is Undefined or (truthy(also_if_false(scope, budget)) and not truthy(value)):
            return substitute(scope, budget)
        return value

    return evaluate


def definedness(subject: Evaluate, wanted: bool) -> Evaluate:
    """`subject is defined`, or `is undefined`."""
    return lambda scope, budget: (type(subject(scope, budget)) is not Undefined) is wanted


def strict(operand: Evaluate, position: int) -> Evaluate:
    """The same, raising `expression_undefined` where there is no value."""

    def evaluate(scope: Scope, budget: Budget) -> Value:
        value = operand(scope, budget)
        if type(value) is Undefined:
            error = value.error()
            error.position = position
            raise error
        return value

    return evaluate


def located(operand: Evaluate, position: int) -> Evaluate:
    """The same, with errors that say where in the text they happened."""

    def evaluate(scope: Scope, budget: Budget) -> Value:
        try:
            return operand(scope, budget)
        except ExpressionError as error:
            if error.position is None:
                error.position = position
            raise

    return evaluate
