"""Syntax tree to closures. What is not in the table at the end of this file is no part of the language.

Evaluating an expression once costs a step for each of its nodes, paid as a whole before it starts: there are no loops
but those within filters, and they pay for themselves.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from flowforge.kernel.expressions import closures, operators
from flowforge.kernel.expressions.budget import MAX_DEPTH
from flowforge.kernel.expressions.closures import Evaluate
from flowforge.kernel.expressions.errors import ExpressionError, syntax_error
from flowforge.kernel.expressions.references import Reference, path_of, reference_to
from flowforge.kernel.expressions.registry import Operation, find_filter, find_test
from flowforge.kernel.expressions.values import INT_MAX, INT_MIN, Undefined

_ARITHMETIC: Mapping[type[nodes.Node], operators.Operator] = {
    nodes.Add: operators.add,
    nodes.Sub: operators.subtract,
    nodes.Mul: operators.multiply,
    nodes.Div: operators.divide,
    nodes.FloorDiv: operators.floor_divide,
    nodes.Mod: operators.modulo,
    nodes.Pow: operators.power,
}
_COMPARISONS: Mapping[str, operators.Operator] = {
    "eq": operators.equal,
    "ne": operators.not_equal,
    "lt": operators.less,
    "lteq": operators.less_or_equal,
    "gt": operators.greater,
    "gteq": operators.greater_or_equal,
    "in": operators.contains,
    "notin": operators.not_contains,
}
_MAY_BE_UNDEFINED = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.CondExpr, nodes.Filter)


class Compiler:
    """Compiles the tree of one expression; used once."""

    def __init__(self) -> None:
        self.references: set[Reference] = set()
        self.cost = 0  # nodes seen
        self._depth = 0

    def compile(self, node: nodes.Expr) -> Evaluate:
        """The closure of a node; it may give Undefined. Raises ExpressionError `expression_syntax`."""
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise syntax_error(f"{_describe(node)} not part of the expression language", node.lineno)
        if self._depth >= MAX_DEPTH:
            raise syntax_error(f"the expression is nested deeper than {MAX_DEPTH}", node.lineno)
        self.cost += 1
        self._depth += 1
        try:
            return handler(self, node)
        finally:
            self._depth -= 1

    def strict(self, node: nodes.Expr) -> Evaluate:
        """The closure of a node whose value is used: never Undefined."""
        evaluate = self.compile(node)
        return closures.strict(evaluate, node.lineno) if isinstance(node, _MAY_BE_UNDEFINED) else evaluate

    # --- names and lookups ----------------------------------------------------------------------------------------

    def name(self, node: nodes.Name) -> Evaluate:
        self.references.add(Reference(node.name))
        return closures.path((node.name,))

    def member(self, node: nodes.Getattr | nodes.Getitem) -> Evaluate:
        base, keys = path_of(node)
        if isinstance(base, nodes.Name):
            self.references.add(reference_to(base.name, keys))
            return closures.path((base.name, *keys))
        if isinstance(base, nodes.Getitem):
            found = closures.located(self._computed_member(base), base.lineno)
        else:
            found = self.compile(base)
        return closures.dig(found, keys) if keys else found

    def _computed_member(self, node: nodes.Getitem) -> Evaluate:
        if isinstance(node.arg, nodes.Slice):
            return self._slice(node.node, node.arg)
        return closures.subscript(self.compile(node.node), self.strict(node.arg))

    def _slice(self, subject: nodes.Expr, bounds: nodes.Slice) -> Evaluate:
        given = (bounds.start, bounds.stop, bounds.step)
        return closures.slice_of(
            self.strict(subject),
            [closures.constant(None) if bound is None else self.strict(bound) for bound in given],
        )

    # --- literals -------------------------------------------------------------------------------------------------

    def literal(self, node: nodes.Const) -> Evaluate:
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            raise syntax_error("a number out of range", node.lineno)
        if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
            raise syntax_error("a whole number beyond 64 bits", node.lineno)
        return closures.constant(value)

    def row(self, node: nodes.List | nodes.Tuple) -> Evaluate:
        return closures.list_of([self.strict(item) for item in node.items])

    def mapping(self, node: nodes.Dict) -> Evaluate:
        pairs = [(self.strict(pair.key), self.strict(pair.value)) for pair in node.items]
        return closures.located(closures.object_of(pairs), node.lineno)

    # --- operators ------------------------------------------------------------------------------------------------

    def logic(self, node: nodes.And | nodes.Or) -> Evaluate:
        """A row of the same operator is one closure, however long."""
        operands = [node.right]
        left = node.left
        while type(left) is type(node):
            operands.append(left.right)
            left = left.left
        compiled = [self.strict(operand) for operand in (left, *reversed(operands))]
        return (closures.all_of if isinstance(node, nodes.And) else closures.any_of)(compiled)

    def negation(self, node: nodes.Not) -> Evaluate:
        return closures.negation(self.strict(node.node))

    def sign(self, node: nodes.Neg | nodes.Pos) -> Evaluate:
        sign = -1 if isinstance(node, nodes.Neg) else 1
        return closures.located(closures.signed(self.strict(node.node), sign), node.lineno)

    def arithmetic(self, node: nodes.BinExpr) -> Evaluate:
        operator = _ARITHMETIC[type(node)]
        return closures.located(closures.binary(operator, self.strict(node.left), self.strict(node.right)), node.lineno)

    def comparison(self, node: nodes.Compare) -> Evaluate:
        rest = [(_COMPARISONS[operand.op], self.strict(operand.expr)) for operand in node.ops]
        return closures.located(closures.comparison(self.strict(node.expr), rest), node.lineno)

    def concatenation(self, node: nodes.Concat) -> Evaluate:
        return closures.located(closures.concatenation([self.strict(part) for part in node.nodes]), node.lineno)

    def conditional(self, node: nodes.CondExpr) -> Evaluate:
        missing = closures.constant(Undefined("the value of an 'if' without 'else'"))
        otherwise = self.compile(node.expr2) if node.expr2 is not None else missing
        return closures.conditional(self.strict(node.test), self.compile(node.expr1), otherwise)

    # --- filters and tests ----------------------------------------------------------------------------------------

    def filter(self, node: nodes.Filter) -> Evaluate:
        if node.node is None:  # only within a filter block, which this language hasn't
            raise syntax_error("a filter needs a value", node.lineno)
        args, kwargs = self._arguments(node, find_filter)
        if node.name in ("default", "d"):
            given = dict(zip(("default_value", "boolean"), args, strict=False)) | kwargs
            return closures.fallback(
                self.compile(node.node),
                given.get("default_value", closures.constant("")),
                given.get("boolean", closures.constant(False)),
            )
        called = closures.call(find_filter(node.name), self.strict(node.node), args, kwargs)
        return closures.located(called, node.lineno)

    def test(self, node: nodes.Test) -> Evaluate:
        args, kwargs = self._arguments(node, find_test)
        if node.name in ("defined", "undefined"):
            return closures.definedness(self.compile(node.node), wanted=node.name == "defined")
        called = closures.call(find_test(node.name), self.strict(node.node), args, kwargs)
        return closures.located(called, node.lineno)

    def _arguments(
        self, node: nodes.Filter | nodes.Test, find: Callable[[str], Operation]
    ) -> tuple[list[Evaluate], dict[str, Evaluate]]:
        """The arguments of a call that its filter or test takes."""
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise syntax_error("'*' and '**' before arguments are not part of the expression language", node.lineno)
        named = {str(item.key): item.value for item in node.kwargs}  # Keyword nodes: their keys are text
        try:
            _check_call(find(node.name), node.args, named)
        except ExpressionError as error:
            raise syntax_error(error.message, node.lineno) from None
        return (
            [self.strict(arg) for arg in node.args],
            {name: self.strict(value) for name, value in named.items()},
        )


def _check_call(operation: Operation, args: list[nodes.Expr], kwargs: Mapping[str, nodes.Expr]) -> None:
    """Refuse arguments that can't be right, also those of a filter or test that `map`, `select` … name literally."""
    operation.check(args, kwargs)
    for at, find in ((operation.names_filter_at, find_filter), (operation.names_test_at, find_test)):
        if at is not None and at < len(args) and isinstance(named := args[at], nodes.Const):
            _check_call(find(named.value), args[at + 1 :], kwargs)


def _describe(node: nodes.Node) -> str:
    return "calling functions is" if isinstance(node, nodes.Call) else f"'{type(node).__name__.lower()}' is"


_HANDLERS: Mapping[type[nodes.Node], Callable[[Compiler, Any], Evaluate]] = {
    nodes.Name: Compiler.name,
    nodes.Getattr: Compiler.member,
    nodes.Getitem: Compiler.member,
    nodes.Const: Compiler.literal,
    nodes.List: Compiler.row,
    nodes.Tuple: Compiler.row,
    nodes.Dict: Compiler.mapping,
    nodes.And: Compiler.logic,
    nodes.Or: Compiler.logic,
    nodes.Not: Compiler.negation,
    nodes.Neg: Compiler.sign,
    nodes.Pos: Compiler.sign,
    nodes.Compare: Compiler.comparison,
    nodes.Concat: Compiler.concatenation,
    nodes.CondExpr: Compiler.conditional,
    nodes.Filter: Compiler.filter,
    nodes.Test: Compiler.test,
    **dict.fromkeys(_ARITHMETIC, Compiler.arithmetic),
}
