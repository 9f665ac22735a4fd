"""The OpenAPI document against the server that it describes: Schemathesis asks what the document allows, and more."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.client import KEY
from tests.support.service import Site

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
ENDS_THE_CALLER = ("projects_destroy", "api_keys_destroy", "api_keys_rotate")


def ask(service: Site, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis' own command: its plugin for pytest lags behind pytest."""
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{service.url}/v1/schema", "--no-color"]
    command += ["--header", f"X-API-KEY: {KEY}", "--seed", "1", "--max-examples", "8", "--checks", ",".join(CHECKS)]
    return subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)


def test_it_works(service: Site, tmp_path: Path) -> None:
    excluded = [part for name in ENDS_THE_CALLER for part in ("--exclude-operation-id", name)]
    found = ask(service, tmp_path, *excluded)
    assert found.returncode == 0, found.stdout[-20_000:]
    assert "generated" in found.stdout


def test_it_rejects_a_server_that_does_otherwise(service: Site, tmp_path: Path) -> None:
    """What the document knows nothing of: an answer of an operation that is told to have another."""
    document = tmp_path / "document.json"
    document.write_text(
        '{"openapi": "3.1.0", "info": {"title": "t", "version": "1"},'
        ' "paths": {"/v1/nothing": {"get": {"responses": {"200": {"description": "d"}}}}}}'
    )
    found = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", document, "--url", service.url, "--max-examples", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "Undocumented" in found.stdout
