"""The assets that a definition names where it names them literally: they are the project's, and of the right type."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowforge.assets.constants import DATASET
from flowforge.assets.selectors import types_by_id
from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.pointers import pointer_of
from flowforge.kernel.validation.draft import strings
from flowforge.projects.models import Project
from flowforge.steps.registry import Registry
from workflows.services.walking import steps

SCHEME: Final = "asset://"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Use:
    """A place that names an asset."""

    text: str
    wanted: str  # the type of asset that belongs there
    pointer: str

    @property
    def asset_id(self) -> uuid.UUID | None:
        try:
            return uuid.UUID(self.text)
        except ValueError:
            return None


def faults(document: Mapping[str, Json], project: Project, registry: Registry) -> list[Fault]:
    """Ids in a valid document that are of no asset of the project, or of another type; what an expression gives is
    seen when the step runs."""
    found = [use for node, at in steps(document) for use in _uses(node, at, registry)]
    ids = [asset_id for use in found if (asset_id := use.asset_id) is not None]
    known = types_by_id(project.pk, ids) if ids else {}
    return [fault for use in found for fault in _faults_of(use, known)]


def _faults_of(use: _Use, known: Mapping[uuid.UUID, str]) -> Iterator[Fault]:
    kind = None if use.asset_id is None else known.get(use.asset_id)
    if kind is None:
        yield Fault(pointer=use.pointer, code="unknown_asset", detail="the project has no asset of this id")
    elif kind != use.wanted:
        yield Fault(pointer=use.pointer, code="asset_type", detail=f"the asset is a {kind}, not a {use.wanted}")


def _uses(node: Mapping[str, Any], at: str, registry: Registry) -> Iterator[_Use]:
    config = node.get("config") or {}
    step_type = registry.get(str(node.get("type")))
    for member, wanted in getattr(step_type, "asset_members", {}).items():
        text = config.get(member)
        if isinstance(text, str) and "{{" not in text:
            yield _Use(text=text, wanted=wanted, pointer=at + pointer_of([member]))
    if node.get("type") == "map":  # its step's own config comes by itself
        config = {name: value for name, value in config.items() if name != "step"}
    for pointer, text in strings(config, at):
        if text.startswith(SCHEME) and "{{" not in text:
            yield _Use(text=text.removeprefix(SCHEME).strip("/"), wanted=DATASET, pointer=pointer)
