"""Functions that fit a screen, files that fit a head. 25 and 300 lines are the habit; here is where it ends."""

import ast

from tests.support.sources import Function, of_tests, ours

MAX_FUNCTION_LINES = 50
MAX_FILE_LINES = 400
ALLOWED: dict[str, str] = {}  # path, or path:function -> why it has to be longer


def length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring: explaining is free."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return total - ((first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0)


def test_it_works() -> None:
    (function,) = ast.parse('def f():\n    """Says\n    why."""\n    return 1\n').body
    assert isinstance(function, ast.FunctionDef)
    assert length(function) == 2


def too_long() -> dict[str, int]:
    sources = (*ours(), *of_tests())
    files = {source.path: source.line_count for source in sources if source.line_count > MAX_FILE_LINES}
    functions = {
        f"{source.path}:{function.name}": length(function)
        for source in sources
        for function in source.functions()
        if length(function) > MAX_FUNCTION_LINES
    }
    return files | functions


def test_nothing_is_too_long() -> None:
    assert {where: lines for where, lines in too_long().items() if where not in ALLOWED} == {}


def test_nothing_is_allowed_for_nothing() -> None:
    assert set(ALLOWED) <= set(too_long())
