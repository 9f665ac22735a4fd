"""Kept connections are looked at without a question to the server."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.backends.postgresql import base as django_base

from flowforge.core.postgresql.base import DatabaseWrapper


@pytest.fixture
def ends() -> Any:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def wrapper(connection: Any) -> DatabaseWrapper:
    made = DatabaseWrapper({"ENGINE": "flowforge.core.postgresql", "NAME": "none", "OPTIONS": {}, "TIME_ZONE": None})
    made.connection = connection
    return made


def test_it_works(ends: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet one is usable; of one that says something the server is asked, as Django does it."""
    asked: list[bool] = []
    monkeypatch.setattr(django_base.DatabaseWrapper, "is_usable", lambda self: asked.append(True) or False)
    ours, theirs = ends
    looked_at = wrapper(SimpleNamespace(closed=False, fileno=ours.fileno))
    assert looked_at.is_usable()
    assert not asked
    theirs.close()  # the server has gone
    assert not looked_at.is_usable()
    assert asked


def test_without_a_connection_there_is_nothing_to_ask() -> None:
    assert not wrapper(None).is_usable()
    assert not wrapper(SimpleNamespace(closed=True)).is_usable()
