"""Counting calls: a window of a minute that begins with a caller's first call and holds `limit` of them.

The window is what `X-RateLimit-Remaining` and `-Reset` can tell truthfully: so many are left, until then. Each store
counts with one atomic operation (read-then-write lets a burst through), and counts before it is judged.
"""

import functools
import re
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, cast

import redis
from django.conf import settings
from django.db import connection

from flowforge.api.models import RateWindow

_RATE = re.compile(r"0*([1-9][0-9]{0,8})/(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_KEY_PREFIX: Final = "ff:rate:"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls in so many seconds."""

    limit: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a caller stands after a call was counted."""

    limit: int
    remaining: int
    reset_at: float  # Unix seconds: when all of `limit` are free again
    allowed: bool


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Rate:
    """`500/m` as a Rate. Raises ValueError."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"not a rate: {text!r}; write it like 500/m")
    return Rate(int(found[1]), _SECONDS[found[2]])


def judge(rate: Rate, count: int, ends_at: float) -> Verdict:
    """Is the `count`th call of a window within its rate?"""
    return Verdict(rate.limit, max(0, rate.limit - count), ends_at, count <= rate.limit)


class RateStore(Protocol):
    """Where windows are kept. The class decides over how many processes a limit holds."""

    def hit(self, key: str, seconds: int, now: float) -> tuple[int, float]:
        """Count one call: (calls in the window, this one included; when the window ends, Unix seconds)."""

    def peek(self, key: str, now: float) -> tuple[int, float]:
        """The same without a call; (0, now) where no window is open."""


class MemoryStore:
    """For a single process: the embedded default."""

    _CLEAN_FROM: Final = 10_000  # keys; a flood of addresses must not fill the memory

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def hit(self, key: str, seconds: int, now: float) -> tuple[int, float]:
        with self._lock:
            count, ends_at = self._windows.get(key, (0, 0.0))
            if ends_at <= now:
                count, ends_at = 0, now + seconds
                self._clean(now)
            self._windows[key] = window = (count + 1, ends_at)
            return window

    def peek(self, key: str, now: float) -> tuple[int, float]:
        count, ends_at = self._windows.get(key, (0, now))
        return (count, ends_at) if ends_at > now else (0, now)

    def _clean(self, now: float) -> None:
        if len(self._windows) >= self._CLEAN_FROM:
            self._windows = {key: window for key, window in self._windows.items() if window[1] > now}


class RedisStore:
    """For any number of processes on any number of machines: one script, one round trip."""

    _SCRIPT: Final = """
        local count = redis.call('INCR', KEYS[1])
        local left = redis.call('PTTL', KEYS[1])
        if left < 0 then
            redis.call('PEXPIRE', KEYS[1], ARGV[1])
            left = tonumber(ARGV[1])
        end
        return {count, left}
    """

    def __init__(self, url: str) -> None:
        # a limit is not worth waiting for: a slow store counts as one that is down
        client = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
        self._client = client
        self._count = client.register_script(self._SCRIPT)

    def hit(self, key: str, seconds: int, now: float) -> tuple[int, float]:
        count, left_ms = cast(list[int], self._count(keys=[_KEY_PREFIX + key], args=[seconds * 1000]))
        return count, now + left_ms / 1000

    def peek(self, key: str, now: float) -> tuple[int, float]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.get(_KEY_PREFIX + key)
            pipe.pttl(_KEY_PREFIX + key)
            count, left_ms = pipe.execute()
        return (int(count), now + left_ms / 1000) if count and left_ms > 0 else (0, now)


class SqlStore:
    """For several processes on PostgreSQL without Redis: one upsert a call, which doesn't wait for the disk."""

    _CLEAN_EVERY_SECONDS: Final = 60.0
    # raw: the ORM has no upsert whose update depends on the row. A commit that a crash may lose is good enough here.
    _UPSERT: Final = """
        INSERT INTO {table} AS w (key, count, ends_at)
        SELECT %(key)s, 1, %(fresh)s {source}
        ON CONFLICT (key) DO UPDATE SET
            count = CASE WHEN w.ends_at <= %(now)s THEN 1 ELSE w.count + 1 END,
            ends_at = CASE WHEN w.ends_at <= %(now)s THEN excluded.ends_at ELSE w.ends_at END
        RETURNING count, ends_at
    """

    def __init__(self) -> None:
        self._clean_at = 0.0

    def hit(self, key: str, seconds: int, now: float) -> tuple[int, float]:
        source = "FROM set_config('synchronous_commit', 'off', true)"
        with connection.cursor() as cursor:
            sql = self._UPSERT.format(table=RateWindow._meta.db_table, source=source)
            cursor.execute(sql, {"key": key, "now": now, "fresh": now + seconds})
            count, ends_at = cursor.fetchone()
        if now >= self._clean_at:
            self._clean_at = now + self._CLEAN_EVERY_SECONDS
            RateWindow.objects.filter(ends_at__lte=now).delete()
        return count, ends_at

    def peek(self, key: str, now: float) -> tuple[int, float]:
        found = RateWindow.objects.filter(key=key, ends_at__gt=now).values_list("count", "ends_at").first()
        return found or (0, now)


@functools.cache
def store() -> RateStore:
    """The store of this process; `store.cache_clear()` forgets it and, in memory, all windows."""
    return new_store()


def new_store() -> RateStore:
    """Redis where there is one, else PostgreSQL, else (a single process) memory."""
    cache_url: str = settings.CACHE_URL
    if cache_url.startswith(("redis", "unix")):
        return RedisStore(cache_url)
    database: dict[str, Any] = settings.DATABASES["default"]
    return SqlStore() if database["ENGINE"].endswith("postgresql") else MemoryStore()


def purge(*, now: datetime, limit: int) -> int:
    """Delete at most `limit` windows that are over; says how many."""
    over = RateWindow.objects.filter(ends_at__lte=now.timestamp()).order_by("ends_at")
    deleted, _ = RateWindow.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:limit])).delete()
    return deleted
