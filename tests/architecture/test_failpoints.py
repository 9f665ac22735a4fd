"""The list of failpoints and the places in the code are the same."""

import ast

from flowforge.core.failpoints import NAMES
from tests.support.sources import ours


def placed() -> list[str]:
    """The name at each call of `failpoint(...)`."""
    return [
        ast.literal_eval(node.args[0])
        for source in ours()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoint"
    ]


def test_it_works() -> None:
    assert set(placed()) == set(NAMES)
