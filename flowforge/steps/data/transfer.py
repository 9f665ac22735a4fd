"""The way in: what a URL names as a file in the step's scratch directory, and a file as what a URL names."""

import hashlib
from pathlib import Path
from typing import Final

from flowforge.steps.base import Context, StepCancelled
from flowforge.steps.data import files, postgres, s3, sqlite, web
from flowforge.steps.data.failures import DataFailure, translated
from flowforge.steps.data.places import Fetched, Format, Place

_BY_MEDIA_TYPE: Final[dict[str, Format]] = {
    "text/csv": "csv",
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/vnd.apache.parquet": "parquet",
}


def fetch(context: Context, place: Place, into: Path) -> Fetched:
    """Bring what `place` names to the file `into`, which must not exist yet, in pieces, at most the operator's limit.

    Raises DataFailure, CredentialRefused (both have `failed()`), StepCancelled.
    """
    _require_going_on(context)
    location, limit = place.location, context.settings.max_data_bytes
    found = place.format
    if location.scheme == "file":
        inside = files.inside(location.path, context.settings.file_roots)
        brought = files.bring(inside, into, max_bytes=limit, cancel=context.cancel)
        return Fetched(path=into, size=brought.size, format=found, tag=brought.tag, marks=brought.marks)
    if location.scheme == "s3":
        stored = s3.fetch(context, place, into)
        return Fetched(path=into, size=stored.size, format=found, tag=stored.etag, marks=stored.marks)
    if location.scheme == "asset":
        with translated(context):
            asset = context.assets.fetch(location.path, into)
        if asset.size > limit:
            raise files.too_large(limit)
        return Fetched(path=into, size=asset.size, format=_by_media_type(asset.content_type), tag=str(asset.version))
    if location.scheme == "postgres":
        size, columns = postgres.fetch(context, place, into)
        return Fetched(path=into, size=size, columns=columns)
    if location.scheme == "sqlite":
        columns = sqlite.fetch(context, place, into)
        return Fetched(path=into, size=into.stat().st_size, columns=columns)
    size, content_type = web.fetch(context, place, into)
    return Fetched(path=into, size=size, format=found or _by_media_type(content_type))


def store(
    context: Context,
    place: Place,
    source: Path,
    *,
    content_type: str,
    replace: bool = True,
    instead_of: Fetched | None = None,
) -> None:
    """Make the file `source` what `place` names, at once: nobody finds a part of it. It is used up.

    Without `replace` only where there is nothing yet, or what this step itself has stored: `target_exists`. With
    `instead_of` only where there still is what was fetched before: `target_changed`. Files and objects keep the marks
    of the last steps that have written them (`is_marked`). Not for tables. Raises as `fetch`.
    """
    _require_going_on(context)
    location = place.location
    marks, tag = (instead_of.marks, instead_of.tag) if instead_of is not None else ((), "")
    if location.scheme == "file":
        inside = files.inside(location.path, context.settings.file_roots)
        new = files.New(source=source, mark=mark(context), marks=marks, tag=tag, replace=replace)
        files.put(inside, new, cancel=context.cancel)
    elif location.scheme == "s3":
        content = s3.New(source=source, content_type=content_type, marks=(*marks, mark(context)))
        s3.put(context, place, content, replace=replace, if_match=tag)
    elif location.scheme == "asset":
        if not replace:
            raise DataFailure("target_exists", "An asset exists as soon as it has an id: replace it.")
        with translated(context):
            context.assets.replace(location.path, source, content_type=content_type)
    elif location.is_table:
        raise DataFailure("unsupported_location", f"A file cannot be stored as a table of {location.scheme}:.")
    else:
        web.put(context, place, source, content_type=content_type, replace=replace)


def mark(context: Context) -> str:
    """A short word for this step of this run, the same for every attempt: safe to be seen."""
    return hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:16]


def is_marked(context: Context, found: Fetched) -> bool:
    """Whether what was fetched has been written by this step already, by an earlier attempt."""
    return mark(context) in found.marks


def _require_going_on(context: Context) -> None:
    if context.cancel.is_set:
        raise StepCancelled(context.cancel.reason)


def _by_media_type(content_type: str) -> Format | None:
    return _BY_MEDIA_TYPE.get(content_type.partition(";")[0].strip().lower())
