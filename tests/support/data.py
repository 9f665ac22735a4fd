"""What steps on data meet in tests: credentials by name, assets in a folder, an S3 server on the loopback."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
from moto.server import ThreadedMotoServer

from flowforge.credentials.constants import PUBLIC_FIELDS
from flowforge.steps.assets import AssetFile, NotAvailable
from flowforge.steps.base import Credential, CredentialRefused, NoCredentials

AWS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "canary-aws-secret"}


class Credentials(NoCredentials):
    """`Credentials(minio=("aws", {…}))`: each may go to the loopback alone."""

    in_use = True

    def __init__(self, **known: tuple[str, Mapping[str, Any]]) -> None:
        self._known = known

    def get(self, name: str, host: str) -> Credential:
        if name not in self._known:
            return super().get(name, host)
        if not host.startswith("127.0.0.1:"):
            raise CredentialRefused("credential_host", f"It may not go to {host}.")
        kind, data = self._known[name]
        return Credential(name=name, type=kind, data=data)

    def public(self, name: str) -> Mapping[str, Any]:
        if name not in self._known:
            return super().public(name)
        return {key: value for key, value in self._known[name][1].items() if key in PUBLIC_FIELDS}


@dataclass(kw_only=True)
class Assets:
    """The AssetPort over a folder: a file an asset; `replaced` counts."""

    folder: Path
    content_type: str = "text/csv"
    replaced: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    def prompt(self, asset_id: str) -> str:
        return self._path(asset_id).read_text()

    def fetch(self, asset_id: str, into: Path) -> AssetFile:
        shutil.copyfile(self._path(asset_id), into)
        return self._file(asset_id)

    def replace(self, asset_id: str, source: Path, *, content_type: str) -> AssetFile:
        self._path(asset_id)
        draft = self.folder / f".{asset_id}"
        shutil.copyfile(source, draft)
        draft.rename(self.folder / asset_id)
        self.replaced += 1
        self.content_type = content_type
        self.versions[asset_id] = self.versions.get(asset_id, 1) + 1
        return self._file(asset_id)

    def _path(self, asset_id: str) -> Path:
        found = self.folder / asset_id
        if not found.exists():
            raise NotAvailable(f"There is no asset {asset_id!r} here.")
        return found

    def _file(self, asset_id: str) -> AssetFile:
        return AssetFile(
            asset_id=asset_id,
            version=self.versions.get(asset_id, 1),
            label="",
            content_type=self.content_type,
            size=self._path(asset_id).stat().st_size,
        )


@dataclass(kw_only=True)
class Bucket:
    """`bucket` of an S3 server."""

    endpoint: str
    client: Any

    def read(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket="bucket", Key=key)["Body"].read()
        return body

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket="bucket", Key=key, Body=content)


@contextlib.contextmanager
def s3_server() -> Iterator[Bucket]:
    """An S3 server with an empty bucket until the block ends."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    try:
        # what all its servers of a process hold is one and the same
        urlopen(Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=10).close()
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=AWS["access_key_id"],
            aws_secret_access_key=AWS["secret_access_key"],
        )
        client.create_bucket(Bucket="bucket")
        yield Bucket(endpoint=endpoint, client=client)
        client.close()
    finally:
        server.stop()
