"""What an expression reads, known without evaluating it: for the checks of a definition against its graph."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import nodes

Key = str | int


@dataclass(frozen=True, slots=True)
class Reference:
    """A name that an expression reads, as far as it is written down in it."""

    root: str  # the name itself: `inputs`, `steps`, `credentials`, … or an unknown one
    name: str | None = None  # of a step or a credential; None: all of them, a computed one, or another root
    member: str | None = None  # of a step: `output`, `status`, `error`, or an unknown one; None: all of it


def reference_to(root: str, keys: Sequence[Key]) -> Reference:
    """What the path `root.keys…` reads."""
    if root not in ("steps", "credentials") or not keys or not isinstance(keys[0], str):
        return Reference(root)
    if root == "credentials" or len(keys) == 1 or not isinstance(keys[1], str):
        return Reference(root, keys[0])
    return Reference(root, keys[0], keys[1])


def path_of(node: nodes.Expr) -> tuple[nodes.Expr, tuple[Key, ...]]:
    """A chain of constant lookups as what it begins with and its keys: `a.b["c"][0]` is `a` and b, c, 0."""
    keys: list[Key] = []
    while True:
        if isinstance(node, nodes.Getattr):
            keys.append(node.attr)
        elif isinstance(node, nodes.Getitem) and isinstance(key := node.arg, nodes.Const) and _is_key(key):
            keys.append(key.value)
        else:
            return node, tuple(reversed(keys))
        node = node.node


def _is_key(constant: nodes.Const) -> bool:
    return type(constant.value) in (str, int)
