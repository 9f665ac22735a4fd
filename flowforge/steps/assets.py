"""The project's assets, as steps see them: texts of prompts, files of datasets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol


class NotAvailable(Exception):
    """What a step asks for cannot be had here; the message says why."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable  # True: the store is away, another attempt may find it


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetFile:
    """What was fetched, or stored."""

    asset_id: str
    version: int
    label: str
    content_type: str  # a media type (RFC 9110, 8.3.1): text/csv
    size: int  # bytes


class AssetPort(Protocol):
    """Assets of the run's project, by id; another project's do not exist. All of it raises NotAvailable."""

    def prompt(self, asset_id: str, version: int | None = None) -> str:
        """The text of a prompt, as it was written: its variables are the step's to fill. None: the newest version."""
        ...

    def snippet(self, asset_id: str, version: int | None = None) -> str:
        """The text of a snippet."""
        ...

    def fetch(self, asset_id: str, into: Path) -> AssetFile:
        """Copy the newest content to the file `into`, in pieces; its checksum has been compared."""
        ...

    def replace(self, asset_id: str, source: Path, *, content_type: str) -> AssetFile:
        """Store the file `source` as the asset's next version: readers find the old one or the new one, whole."""
        ...


class NoAssets:
    """The port where there are none."""

    def prompt(self, asset_id: str, version: int | None = None) -> str:  # noqa: ARG002  the port's signature
        raise NotAvailable(f"There is no asset {asset_id!r} here.")

    def snippet(self, asset_id: str, version: int | None = None) -> str:  # noqa: ARG002  as above
        raise NotAvailable(f"There is no asset {asset_id!r} here.")

    def fetch(self, asset_id: str, into: Path) -> AssetFile:  # noqa: ARG002  as above
        raise NotAvailable(f"There is no asset {asset_id!r} here.")

    def replace(self, asset_id: str, source: Path, *, content_type: str) -> AssetFile:  # noqa: ARG002  as above
        raise NotAvailable(f"There is no asset {asset_id!r} here.")


NO_ASSETS: Final = NoAssets()
