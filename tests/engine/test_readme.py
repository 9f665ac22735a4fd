"""README.md: its first workflow does what the page says."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from flowforge.projects.models import Project
from tests.engine.conftest import Flow
from tests.support.api import ApiClient
from tests.support.sources import CHECKOUT

pytestmark = pytest.mark.django_db

PAGE = (CHECKOUT / "README.md").read_text("utf-8")


def sent(number: int) -> Any:
    """The body of the page's n-th curl command."""
    return json.loads(re.findall(r"-d '(\{.*?\})'\n", PAGE, re.DOTALL)[number])


def test_it_works(client: ApiClient, project: Project, flow: Callable[..., Flow]) -> None:
    project.settings = {"allowed_step_types": ["python", "transform", "condition"]}
    project.save(update_fields=["settings"])
    workflow = client.post("/v1/workflows", sent(0)).expect(201).data
    asked = sent(1)
    assert asked.pop("wait") == "10s"  # there is nobody to wait for: the test answers the hints itself
    started = client.post(f"/v1/workflows/{workflow['id']}:run", asked).expect(202).data
    flow(nodes=[]).drain()
    ended = client.get(f"/v1/runs/{started['id']}").expect(200).data
    promised = json.loads(re.search(r'^\{"data": .*"outputs".*$', PAGE, re.MULTILINE)[0])["data"]
    assert (ended["status"], ended["outputs"]) == (promised["status"], promised["outputs"]), ended["error"]
