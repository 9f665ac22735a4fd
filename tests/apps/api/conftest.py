"""The kit's own little API, and callers of it."""

from collections.abc import Callable, Iterator

import pytest
from django.test import override_settings

from flowforge.api import rates
from tests.apps.api.kit import Things
from tests.support.api import ApiClient


@pytest.fixture(autouse=True)
def _kit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    store = rates.MemoryStore()  # goes by the frozen clock and needs no database, whatever the lane has
    monkeypatch.setattr(rates, "store", lambda: store)
    Things.rows, Things.made = {}, 0
    with override_settings(ROOT_URLCONF="tests.apps.api.kit"):
        yield


@pytest.fixture
def caller() -> Callable[[str], ApiClient]:
    return lambda text: ApiClient({"X-Test-Caller": text})


@pytest.fixture
def writer(db: None, caller: Callable[[str], ApiClient]) -> ApiClient:
    """May read and write things; the database is there."""
    return caller("workflows:read workflows:write runs:write")


@pytest.fixture
def nobody() -> ApiClient:
    return ApiClient()
