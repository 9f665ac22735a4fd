"""What stands in the files: nothing put off, nothing of one machine, and no test that cannot fail."""

import ast
import re

import pytest

from tests.support.sources import Function, Source, of_tests, ours

PUT_OFF = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
ASSERTING_CALLS = {"raises", "fail", "expect", "warns", "deprecated_call"}  # of pytest, and ApiClient's Answer.expect
ASSERTING_PREFIXES = ("assert", "check_", "expect_", "django_assert_")  # helpers that assert on a test's behalf


def asserts(function: Function) -> bool:
    """Whether it has anything that can fail on purpose."""
    return any(isinstance(node, ast.Assert) or is_asserting_call(node) for node in ast.walk(function))


def is_asserting_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in ASSERTING_CALLS or name.startswith(ASSERTING_PREFIXES)


def functions_of(source: Source) -> list[Function]:
    return [function for function in source.functions() if function.name.startswith("test_")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [("assert x", True), ("with pytest.raises(E): x()", True), ("a.get('/').expect(404)", True), ("x()", False)],
)
def test_it_works(body: str, expected: bool) -> None:
    (function,) = ast.parse(f"def test_a():\n    {body}\n").body
    assert isinstance(function, ast.FunctionDef)
    assert asserts(function) is expected


def test_every_test_can_fail() -> None:
    assert [source.where(f) for source in of_tests() for f in functions_of(source) if not asserts(f)] == []


def test_no_test_sleeps() -> None:
    found = [
        source.where(node)
        for source in of_tests()
        if "/test_" in source.path
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep", "asyncio.sleep"}
    ]
    assert found == []


def test_nothing_is_put_off() -> None:
    sources = [source for source in (*ours(), *of_tests()) if source.path != "tests/architecture/test_texts.py"]
    assert [f"{s.path}: {line}" for s in sources for line in s.text.splitlines() if PUT_OFF.search(line)] == []
