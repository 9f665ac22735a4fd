"""What the machine itself can do, measured in the same round: nobody is durable faster than that."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from tests.bench.services import Services

NAME = "limits"
SECONDS = 1.0
CLIENTS = 8
FDATASYNC = "fdatasync /s"
SQLITE = "SQLite commits /s"
POSTGRES = "PostgreSQL commits /s"
POSTGRES_TOGETHER = f"PostgreSQL commits /s, {CLIENTS} clients"
PAGE = b"x" * 8192
PAYLOAD = "x" * 100


def measure(services: Services, bounds: Collection[str | None]) -> dict[str, list[float]]:
    """Durable writes a second, in the folder where the systems have their data; of the `bounds` that are asked for."""
    found = {FDATASYNC: [fdatasyncs(services.folder / "limits.file", SECONDS)]}
    if "sqlite" in bounds:
        found[SQLITE] = [sqlite_commits(services.folder / "limits.sqlite3", SECONDS)]
    if "postgres" in bounds:
        found[POSTGRES] = [postgres_commits(services.postgres, 1, SECONDS)]
        found[POSTGRES_TOGETHER] = [postgres_commits(services.postgres, CLIENTS, SECONDS)]
    return found


def fdatasyncs(path: Path, seconds: float) -> float:
    """8 KiB overwritten and brought to the disk, again and again."""
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.pwrite(file, PAGE * 128, 0)
        os.fsync(file)
        return _rate(lambda: (os.pwrite(file, PAGE, 0), os.fdatasync(file)), seconds)
    finally:
        os.close(file)


def sqlite_commits(path: Path, seconds: float) -> float:
    """One row a transaction, write-ahead log, synchronous=FULL."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS step (id INTEGER PRIMARY KEY, output TEXT)")
        return _rate(lambda: connection.execute("INSERT INTO step (output) VALUES (?)", (PAYLOAD,)), seconds)


def postgres_commits(url: str, clients: int, seconds: float) -> float:
    """One row a transaction, by so many connections at a time."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS step (id bigserial PRIMARY KEY, output text)")

    def client(_: int) -> float:
        with psycopg.connect(url, autocommit=True) as connection:
            insert = "INSERT INTO step (output) VALUES (%s)"
            return _rate(lambda: connection.execute(insert, (PAYLOAD,), prepare=True), seconds)

    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(client, range(clients)))


def _rate(work: Callable[[], object], seconds: float) -> float:
    began = time.perf_counter()
    count = 0
    while (spent := time.perf_counter() - began) < seconds:
        work()
        count += 1
    return count / spent
