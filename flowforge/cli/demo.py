"""The demonstration: start a gallery workflow through the HTTP API, as any client would, and print what came of it."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from flowforge.cli.embedded import Access
from flowforge.core.json import Json

DEMO_SLUG = "extract-validate-load"
TIMEOUT_SECONDS = 60.0
_SHOWN = 400  # characters of a step's output


class DemoFailed(Exception):
    """The workflow did not complete."""


def run_demo(access: Access) -> None:
    """Run it, print it. Raises DemoFailed."""
    workflow = _find(access)
    print(f"Running the gallery's workflow {workflow['name']!r}: {workflow['description']}\n")
    began = time.monotonic()
    run = _call(access, "POST", f"/v1/workflows/{workflow['id']}:run", {"inputs": {}, "wait": "60s"})["data"]
    run = _call(access, "GET", f"/v1/runs/{run['id']}")["data"]
    for step in run["steps"]:
        print(f"  {step['status']:<10} {step['node_id']:<18} {step['type']:<10} {step['duration_ms'] or 0:>6} ms")
        for line in step["logs"][-3:]:
            print(f"             | {line['message']}")
    print(f"\nThe run is {run['status']} after {time.monotonic() - began:.2f} s. Its outputs:")
    print(json.dumps(run["outputs"], indent=2, ensure_ascii=False)[: 10 * _SHOWN])
    if run["status"] != "completed":
        raise DemoFailed(f"the run ended as {run['status']}: {json.dumps(run['error'])}")


def _find(access: Access) -> Any:
    """The gallery's workflow; others may have its name as a part of theirs."""
    for workflow in _call(access, "GET", f"/v1/workflows?name={DEMO_SLUG}&status=active&limit=100")["data"]:
        if workflow["name"] == DEMO_SLUG:
            return workflow
    raise DemoFailed(f"there is no active workflow {DEMO_SLUG!r}")


def _call(access: Access, method: str, path: str, body: Mapping[str, Json] | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310  our own address
        access.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"X-API-KEY": access.api_key, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS + 5) as answer:  # noqa: S310  our own address
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise DemoFailed(f"{method} {path}: {error.code} {error.read().decode()[:_SHOWN]}") from None
