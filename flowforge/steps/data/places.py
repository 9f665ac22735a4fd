"""A location with what is needed to get there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from flowforge.steps.base import Context
from flowforge.steps.data.locations import Location, parse

Format = Literal["csv", "json", "ndjson", "parquet"]
FORMATS: Final[tuple[Format, ...]] = ("csv", "json", "ndjson", "parquet")
MEDIA_TYPES: Final = {
    "csv": "text/csv",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
DEFAULT_SECONDS: Final = 3600.0  # for one transfer, where the node has no timeout

_ENDINGS: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKED: Final = (".gz", ".zst")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a step's config says of one end of it. Make it by `place`."""

    location: Location
    credential: str | None = None  # its name
    endpoint: str | None = None  # of S3: that of another server than AWS
    region: str | None = None  # of S3

    @property
    def format(self) -> Format | None:
        """What its name promises."""
        name = self.location.name.lower()
        for ending in _PACKED:
            name = name.removesuffix(ending)
        return _ENDINGS.get(Path(name).suffix)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """Of a table."""

    name: str
    type: str  # as DuckDB names it


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What lies in the scratch directory now."""

    path: Path  # not to be written to: it may be the very file of its owner
    size: int  # bytes
    format: Format | None = None  # None: its name does not say; of tables: they come as csv
    columns: tuple[Column, ...] = ()  # of a table, whose csv has no header, and where unquoted nothing is null
    tag: str = ""  # which state of the source this is; "" where that cannot be told
    marks: tuple[str, ...] = ()  # of the last steps that have written it: transfer.mark


def place(url: str, *, credential: str | None = None, endpoint: str | None = None, region: str | None = None) -> Place:
    """Raises DataFailure."""
    return Place(location=parse(url), credential=credential, endpoint=endpoint, region=region)


def seconds(context: Context) -> float:
    """How long one transfer may take."""
    return DEFAULT_SECONDS if context.timeout_seconds is None else context.timeout_seconds
