"""Static files come from their packages; nothing else can be fetched that way."""

import pytest
from django.test import Client

BUNDLE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css"


def test_it_works():
    response = Client().get(BUNDLE)
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/css")
    assert "max-age" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert b"swagger" in response.getvalue()
    assert Client().get("/static/flowforge_api/docs.js").getvalue().startswith(b'"use strict"')


def test_it_answers_304_to_who_has_it():
    modified = Client().get(BUNDLE)
    modified.getvalue()
    response = Client().get(BUNDLE, headers={"If-Modified-Since": modified["Last-Modified"]})
    assert response.status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/nothing.css", "/static/../settings.py", "/static/%2e%2e/settings.py", "/static//etc/passwd"],
)
def test_it_rejects_what_is_no_static_file(path):
    response = Client().get(path)
    assert response.status_code in (400, 404)
    assert b"SECRET" not in response.getvalue()


def test_it_rejects_other_methods():
    assert Client().post(BUNDLE).status_code == 405
