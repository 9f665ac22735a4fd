"""Where blobs are: the store that `settings.ASSET_STORE` names by URL.

file:///srv/assets                     a folder; the default is one below FLOWFORGE_HOME
s3://bucket/prefix?endpoint=http://…   with `gs://` and `az://` of the same form: storage.objects
"""

from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from django.conf import settings

from flowforge.assets.storage.base import Store, StoreFailed
from flowforge.assets.storage.local import LocalStore
from flowforge.assets.storage.objects import RemoteStore

__all__ = ["Store", "StoreFailed", "store"]


def store() -> Store:
    """The store of this installation."""
    return store_of(settings.ASSET_STORE, settings.HOME)


@lru_cache(maxsize=8)
def store_of(url: str, home: Path) -> Store:
    """Raises ValueError for an URL that names none."""
    if not url:
        return LocalStore(home / "assets" / "blobs")
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise ValueError("a folder is written file:///its/path")
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme not in ("s3", "gs", "az") or not parts.netloc:
        raise ValueError("write file:///its/path, s3://bucket, gs://bucket or az://container, each with a prefix")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    plain = str(options.get("endpoint", "")).startswith("http://")
    return RemoteStore(urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), options, plain=plain)
