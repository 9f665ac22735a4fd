"""The gallery: whole workflows that ship with FlowForge, a file each in workflows/gallery. Pure, but for reading these.

A file says `name` (its slug again), `title`, `description`, `tags`, `needs` (what there has to be beside a fresh
installation), `example` (inputs worth a try), `triggers` (bodies for what could start it) and the `definition`. Where
that starts another workflow of the gallery it says `workflow_id: gallery:<slug>`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from flowforge.core.errors import NotFound
from flowforge.core.json import Json
from flowforge.kernel import picture
from flowforge.kernel.document import load
from workflows.constants import EMPTY_DEFINITION
from workflows.services import yaml_text
from workflows.services.forms import Written, read

FOLDER: Final = Path(__file__).resolve().parent.parent / "gallery"
_REFERENCE: Final = "gallery:"


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that a workflow wants and that a fresh installation without internet does not have."""

    kind: str  # credential, isolation, program, provider, target
    detail: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """One workflow of the gallery."""

    slug: str
    title: str
    description: str
    tags: tuple[str, ...]
    definition: Mapping[str, Any]  # as the file has it
    needs: tuple[Need, ...] = ()
    example: Mapping[str, Json] = field(default_factory=dict)
    triggers: Mapping[str, Json] = field(default_factory=dict)  # schedule, webhook, event -> body that makes it

    @property
    def installs(self) -> tuple[str, ...]:
        """The slugs of the workflows that it starts itself."""
        return tuple(dict.fromkeys(_references(self.definition)))

    @property
    def step_types(self) -> tuple[str, ...]:
        """All that a project has to allow: its own types and those of what is installed with it."""
        found = {node_type for node in self.definition["nodes"] for node_type in _types(node)}
        for slug in self.installs:
            found.update(item(slug).step_types)
        return tuple(sorted(found))

    @property
    def depth(self) -> int:
        """How many workflows stand one upon the other below it; 0: it starts none."""
        return max((1 + item(slug).depth for slug in self.installs), default=0)

    def wired(self, ids: Mapping[str, str]) -> Written:
        """Its definition with each reference to another one replaced by that workflow's id."""
        return read({"definition": _wired(self.definition, ids)})


def slugs() -> list[str]:
    """Of all that there is, in alphabetical order; reads no file."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def gallery() -> list[Item]:
    return [item(slug) for slug in slugs()]


@lru_cache(maxsize=64)
def item(slug: str) -> Item:
    """Raises NotFound (404)."""
    if slug not in slugs():  # also keeps a slug from being a path
        raise NotFound(detail="The gallery has no such workflow: GET /v1/gallery lists them.")
    content: Any = yaml_text.load((FOLDER / f"{slug}.yaml").read_bytes())
    return Item(
        slug=slug,
        title=content["title"],
        description=content["description"],
        tags=tuple(content["tags"]),
        needs=tuple(Need(**need) for need in content.get("needs", ())),
        example=content.get("example", {}),
        triggers=content.get("triggers", {}),
        definition=content["definition"],
    )


@lru_cache(maxsize=64)
def mermaid(slug: str) -> str:
    """The picture of an item as Mermaid text. Raises NotFound."""
    return picture.to_mermaid(load(item(slug).wired({}).over(EMPTY_DEFINITION)))


def _types(node: Mapping[str, Any]) -> Iterator[str]:
    yield node["type"]
    inner = node.get("config", {}).get("step")
    if isinstance(inner, Mapping):
        yield inner["type"]


def _references(value: Json) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(_REFERENCE):
        yield value.removeprefix(_REFERENCE)
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _references(part)


def _wired(value: Json, ids: Mapping[str, str]) -> Json:
    if isinstance(value, str) and value.startswith(_REFERENCE):
        return ids.get(value.removeprefix(_REFERENCE), value)
    if isinstance(value, Mapping):
        return {key: _wired(part, ids) for key, part in value.items()}
    if isinstance(value, list):
        return [_wired(part, ids) for part in value]
    return value
