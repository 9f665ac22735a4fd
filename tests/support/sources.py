"""The project's own Python files, parsed: what the architecture tests look at."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("flowforge", "workflows", "runs", "webhooks", "templates_app")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    path: str  # from the checkout's root
    text: str
    tree: ast.Module

    @property
    def line_count(self) -> int:
        return self.text.count("\n")

    def functions(self) -> Iterator[Function]:
        """All of them: methods and those within functions too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def where(self, node: ast.stmt | ast.expr) -> str:
        return f"{self.path}:{node.lineno}"


@cache
def ours() -> tuple[Source, ...]:
    """What runs: the packages without their migrations."""
    return tuple(_read(path) for name in PACKAGES for path in _files(name) if "migrations" not in path.parts)


@cache
def of_tests() -> tuple[Source, ...]:
    return tuple(_read(path) for path in _files("tests"))


def _files(folder: str) -> list[Path]:
    return sorted((CHECKOUT / folder).rglob("*.py"))


def _read(path: Path) -> Source:
    text = path.read_text()
    return Source(path=str(path.relative_to(CHECKOUT)), text=text, tree=ast.parse(text))
