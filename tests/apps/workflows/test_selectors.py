"""What other apps read of workflows."""

from collections.abc import Callable

import pytest
from django.test.utils import CaptureQueriesContext

from flowforge.core.errors import NotFound
from flowforge.core.ids import new_id
from workflows.models import Workflow
from workflows.selectors import definition_of


def test_it_works(workflow: Workflow, query_counter: Callable[[], CaptureQueriesContext]) -> None:
    version_id = workflow.versions.get().pk
    first = definition_of(version_id)
    assert [node.id for node in first.nodes] == ["a", "b"]
    with query_counter() as queries:
        assert definition_of(version_id) is first
    assert len(queries) == 0


def test_it_rejects_versions_that_are_not_there_and_does_not_remember_it(db: None) -> None:
    missing = new_id()
    for _ in range(2):
        with pytest.raises(NotFound):
            definition_of(missing)


def test_the_cache_is_bounded() -> None:
    assert definition_of.cache_parameters()["maxsize"] == 512
