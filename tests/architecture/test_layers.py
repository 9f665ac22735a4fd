"""Who may import whom: .importlinter, and no import hidden within a function to dodge it."""

import ast
import subprocess
import sys
from collections.abc import Iterator

from tests.support.sources import CHECKOUT, PACKAGES, Source, ours


def inner_imports(source: Source) -> Iterator[str]:
    """Where a function imports one of our own modules."""
    for function in source.functions():
        for node in ast.walk(function):
            if any(name.split(".")[0] in PACKAGES for name in imported(node)):
                yield source.where(node)  # type: ignore[arg-type]  # imported() names statements alone


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [PACKAGES[0] if node.level else node.module or ""]
    return []


def test_it_works() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_finds_an_import_within_a_function() -> None:
    text = "import os\ndef f():\n    import json\n    from flowforge.core import ids\n"
    source = Source(path="x.py", text=text, tree=ast.parse(text))
    assert list(inner_imports(source)) == ["x.py:4"]


def test_no_function_imports_our_own_modules() -> None:
    assert [where for source in ours() for where in inner_imports(source)] == []


def test_every_folder_is_a_package() -> None:
    """The contract sees nothing of a folder without `__init__.py`."""
    folders = {(CHECKOUT / source.path).parent for source in ours()}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
