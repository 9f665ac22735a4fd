"""Kept connections are looked at without a question to the server."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.backends.postgresql import base as django_base
from psycopg.pq import TransactionStatus

from flowforge.core.postgresql.base import DatabaseWrapper


@pytest.fixture
def ends() -> Any:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def kept(end: socket.socket, status: TransactionStatus = TransactionStatus.IDLE) -> Any:
    return SimpleNamespace(closed=False, fileno=end.fileno, info=SimpleNamespace(transaction_status=status))


def wrapper(connection: Any) -> DatabaseWrapper:
    made = DatabaseWrapper({"ENGINE": "flowforge.core.postgresql", "NAME": "none", "OPTIONS": {}, "TIME_ZONE": None})
    made.connection = connection
    return made


def test_it_works(ends: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet one is usable; of one that says something the server is asked, as Django does it."""
    asked: list[bool] = []
    monkeypatch.setattr(django_base.DatabaseWrapper, "is_usable", lambda self: asked.append(True) or False)
    ours, theirs = ends
    looked_at = wrapper(kept(ours))
    assert looked_at.is_usable()
    assert not asked
    theirs.close()  # the server has gone
    assert not looked_at.is_usable()
    assert asked


def test_after_an_error_the_server_is_asked(ends: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is quiet may be in the middle of a transaction that has failed."""
    monkeypatch.setattr(django_base.DatabaseWrapper, "is_usable", lambda _self: False)
    failed, aborted = wrapper(kept(ends[0])), wrapper(kept(ends[0], TransactionStatus.INERROR))
    failed.errors_occurred = True
    assert not failed.is_usable()
    assert not aborted.is_usable()


def test_without_a_connection_there_is_nothing_to_ask() -> None:
    assert not wrapper(None).is_usable()
    assert not wrapper(SimpleNamespace(closed=True)).is_usable()
