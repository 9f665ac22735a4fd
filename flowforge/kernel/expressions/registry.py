"""The filters and tests that there are. Nothing else can be called from an expression."""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flowforge.kernel.expressions.errors import evaluation_error

Function = Callable[..., Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """A filter or a test: called as `function(budget, value, *args, **kwargs)`, with values that are never Undefined.

    It pays its budget before it works, raises nothing but ExpressionError, and gives JSON back (or Undefined).
    """

    kind: Literal["filter", "test"]
    name: str
    function: Function
    signature: inspect.Signature
    names_test_at: int | None = None  # the argument that names a test, whose arguments follow it
    names_filter_at: int | None = None

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Whether it takes these arguments. Raises ExpressionError `expression_error`."""
        try:
            self.signature.bind(None, None, *args, **kwargs)
        except TypeError as error:
            raise evaluation_error(f"{self.kind} '{self.name}': {error}") from None


FILTERS: dict[str, Operation] = {}
TESTS: dict[str, Operation] = {}


def expression_filter(
    *names: str, names_test_at: int | None = None, names_filter_at: int | None = None
) -> Callable[[Function], Function]:
    """Offer the function as a filter under the first name, and the others as synonyms."""

    def register(function: Function) -> Function:
        for name in names:
            FILTERS[name] = Operation(
                kind="filter",
                name=name,
                function=function,
                signature=inspect.signature(function),
                names_test_at=names_test_at,
                names_filter_at=names_filter_at,
            )
        return function

    return register


def expression_test(*names: str) -> Callable[[Function], Function]:
    """Offer the function as a test (`value is name`) under these names."""

    def register(function: Function) -> Function:
        for name in names:
            TESTS[name] = Operation(kind="test", name=name, function=function, signature=inspect.signature(function))
        return function

    return register


def find_filter(name: Any) -> Operation:
    return _find(FILTERS, "filter", name)


def find_test(name: Any) -> Operation:
    return _find(TESTS, "test", name)


def _find(operations: dict[str, Operation], kind: str, name: Any) -> Operation:
    """The operation of that name. Raises ExpressionError `expression_error`, with a suggestion if one is near."""
    if isinstance(name, str) and name in operations:
        return operations[name]
    near = difflib.get_close_matches(str(name)[:40], operations, n=1)
    hint = f", did you mean '{near[0]}'?" if near else ""
    raise evaluation_error(f"there is no {kind} '{str(name)[:40]}'{hint}")
