"""Which credentials a config names: known from what is written, so that definitions without any pay nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flowforge.kernel.expressions import Template


@dataclass(frozen=True, slots=True)
class NamedCredentials:
    """Names of credentials."""

    read: frozenset[str]  # by expressions: their values are in the rendered config
    sent: frozenset[str]  # by members such as `credential`: the step type asks for them

    @property
    def all(self) -> frozenset[str]:
        return self.read | self.sent


def mentions_credentials(config: Any) -> bool:
    """Whether it is worth a closer look: any key or text that speaks of credentials."""
    stack: list[Any] = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "credential" in item:
                return True
        elif isinstance(item, Mapping):
            if any("credential" in key for key in item):
                return True
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
    return False


def named_in(template: Template, config: Mapping[str, Any], members: Iterable[str]) -> NamedCredentials:
    """What a config names; `members`: those that hold a name."""
    roots = template.references
    read = frozenset(ref.name for ref in roots if ref.root == "credentials" and ref.name is not None)
    sent = frozenset(name for member in members if isinstance(name := config.get(member), str))
    return NamedCredentials(read=read, sent=sent)
