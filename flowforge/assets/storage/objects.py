"""Blobs in an object store: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from flowforge.assets.storage.base import StoreFailed

READ_BYTES: Final = 4 * 1024 * 1024  # a request: none lasts so long that it is cut off
CLIENT: Final = {"timeout": "60s", "connect_timeout": "5s", "user_agent": "flowforge"}
RETRY: Final[dict[str, Any]] = {"max_retries": 4}


class RemoteStore:
    """`<prefix>/<key>` of a bucket or container. Credentials come from the environment, as each cloud's tools read it.

    `options` are those of the store's own: `endpoint`, `region`, `virtual_hosted_style_request` …
    """

    def __init__(self, url: str, options: dict[str, Any], *, plain: bool = False) -> None:
        """`plain`: http:// is spoken, where an endpoint has no TLS. Raises ValueError for options that are none."""
        client: Any = {**CLIENT, "allow_http": plain}
        make: Callable[..., ObjectStore] = from_url
        try:
            self._store = make(url, config=options, client_options=client, retry_config=RETRY)
        except BaseError as error:
            raise ValueError(str(error).partition("\n")[0]) from error

    def put(self, key: str, source: Path) -> None:
        with _told():
            obstore.put(self._store, key, source)  # in parts where it is large; the object appears with the last

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            upto = min(start + READ_BYTES, end)
            with _told():
                piece = obstore.get_range(self._store, key, start=start, end=upto)
            if len(piece) != upto - start:
                raise StoreFailed("the object is shorter than it was")
            yield bytes(piece)
            start = upto

    def delete(self, key: str) -> None:
        with _told(), suppress(FileNotFoundError):
            obstore.delete(self._store, key)

    def check(self) -> None:
        """Asks for what is not there, which costs little, and which only a store that lets us in can answer."""
        with _told(), suppress(FileNotFoundError):
            obstore.head(self._store, ".check")


@contextmanager
def _told() -> Iterator[None]:
    """What the store says: its kind alone, as the texts hold addresses and answers of others."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise StoreFailed(f"the object store failed ({type(error).__name__})") from error
