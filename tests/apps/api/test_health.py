"""Probes: without credentials, without a name, without a rate limit."""

import pytest
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper

from tests.support.api import ApiClient


@pytest.fixture(autouse=True)
def _routes(settings, _kit):
    settings.ROOT_URLCONF = "flowforge.urls"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_it_works(db, path):
    answer = ApiClient().get(path, headers={"Host": "10.1.2.3"}).expect(200)
    assert answer.json == {"status": "ok"}
    assert answer.headers["X-Trace-Id"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_it_rejects_other_methods_than_reading(path):
    answer = ApiClient().post(path).expect(405)
    assert answer.code == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, HEAD"


def test_it_rejects_work_while_the_database_is_away(db, monkeypatch):
    def gone(self, sql, params=None):
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", gone)
        answer = ApiClient().get("/readyz").expect(503)
        assert ApiClient().get("/livez").expect(200)  # the process itself is well: don't restart it
    assert answer.code == "unavailable"
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("path", ["/livez/x", "/livezz", "/x/livez", "/v1/livez"])
def test_it_rejects_what_only_looks_like_a_probe(path):
    assert ApiClient().get(path).expect(404).code == "not_found"
    assert ApiClient().get(path, headers={"Host": "10.1.2.3"}).expect(400)
