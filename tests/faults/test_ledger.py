"""The witness writes down what it is told before it says so."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import ledger

pytestmark = pytest.mark.processes
ENTRY = {"key": "k", "run": "r", "node": "n", "index": -1, "attempt": 1, "pid": 7}


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    ledger.hang_up()


def test_it_works(tmp_path: Path) -> None:
    def record(number: int) -> None:
        ledger.record(port, {**ENTRY, "key": str(number)})
        ledger.hang_up()

    with ledger.running(tmp_path / "ledger") as port:
        threads = [threading.Thread(target=record, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(int(effect.key) for effect in ledger.read(tmp_path / "ledger")) == list(range(20))


def test_it_rejects_half_a_line(tmp_path: Path) -> None:
    """Of a client that was killed while it wrote: the effect did not happen."""
    with ledger.running(tmp_path / "ledger") as port:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b'{"key": "half')
        ledger.record(port, ENTRY)
    assert [effect.key for effect in ledger.read(tmp_path / "ledger")] == ["k"]


def test_it_rejects_a_ledger_that_is_gone(tmp_path: Path) -> None:
    with ledger.running(tmp_path / "ledger") as port:
        ledger.record(port, ENTRY)
    with pytest.raises(ConnectionError):
        ledger.record(port, ENTRY)
