"""Tables in SQLite files inside the file roots, by a child: `sqlite_runner.py`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from flowforge.steps.base import Context
from flowforge.steps.data.child import run_child
from flowforge.steps.data.files import Inside, inside_or_below
from flowforge.steps.data.places import Column, Place
from flowforge.steps.data.tables import Mode

_RUNNER: Final = "flowforge.steps.data.sqlite_runner"


def fetch(context: Context, place: Place, into: Path) -> tuple[Column, ...]:
    """All rows as csv without a header at `into`; their columns. Raises DataFailure, StepCancelled."""
    request = {
        "do": "read",
        "path": str(_file(context, place).path),
        "table": place.location.table,
        "into": str(into),
        "max_bytes": context.settings.max_data_bytes,
    }
    found = _run(context, request, scratch=into.parent)
    return tuple(Column(name=name, type=kind) for name, kind in found["columns"])


def write(context: Context, place: Place, source: Path, *, columns: Sequence[Column], mode: Mode, mark: str) -> bool:
    """The rows of `source`, a parquet, into the table, in one transaction.

    False: an earlier attempt of this step has done it. Raises `target_exists`, `schema_mismatch` and as `fetch`.
    """
    file = _file(context, place)
    file.path.parent.mkdir(parents=True, exist_ok=True)
    request = {
        "do": "write",
        "path": str(file.path),
        "table": place.location.table,
        "source": str(source),
        "columns": [[column.name, column.type] for column in columns],
        "mode": mode,
        "mark": mark,
    }
    return not _run(context, request, scratch=source.parent)["again"]


def _file(context: Context, place: Place) -> Inside:
    return inside_or_below(place.location.path, context.settings.file_roots)


def _run(context: Context, request: dict[str, Any], *, scratch: Path) -> dict[str, Any]:
    return run_child(context, _RUNNER, request, scratch=scratch, sees_files=True)
