"""Rate limits: which bucket and whose a request counts on, and the headers that tell how it stands.

A call counts on its project; on the person where no project is named; on the address where nobody is known.
"""

import ipaddress
import logging
import math
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from flowforge.api import rates
from flowforge.api.caller import Caller
from flowforge.api.rates import Verdict
from flowforge.core import clock
from flowforge.core.errors import RateLimited, Unavailable

if TYPE_CHECKING:
    from flowforge.api.views import ApiViewSet

FAIL_CLOSED: Final = frozenset(("login",))  # without counting, passwords could be guessed
ADDRESS_ONLY: Final = frozenset(("login", "dialect"))  # the table of api.md; no account names an attacker's bucket
RETRY_STORE_SECONDS: Final = 1.0
_VERDICT: Final = "flowforge_rate"  # where a request keeps its verdict for the headers

log = logging.getLogger("flowforge.api")

_store_down_until = 0.0


def count(request: Request, view: "ApiViewSet") -> None:
    """Count a request on its bucket. Raises RateLimited (429)."""
    bucket = view.rate_buckets.get(view.action or "", view.rate_bucket)
    caller: Caller | None = getattr(request, "_auth", None)  # as authentication left it: `.auth` would try again
    if caller is None or bucket in ADDRESS_ONLY:
        _count(request._request, bucket, f"ip:{client_address(request._request)}", None)
        return
    project_id = _project(caller, view.kwargs.get("project_id"))
    whose = f"project:{project_id}" if project_id else caller.actor
    overrides = caller.rate_limits.get(project_id, {}) if project_id else {}
    _count(request._request, bucket, whose, overrides.get(bucket))


def count_on_project(
    request: HttpRequest | Request, bucket: str, project_id: uuid.UUID, overrides: Mapping[str, str]
) -> None:
    """Count a request of somebody who is no Caller, a webhook's sender say, on a project. Raises RateLimited (429)."""
    plain = request._request if isinstance(request, Request) else request
    _count(plain, bucket, f"project:{project_id}", overrides.get(bucket))


def count_unclaimed(request: HttpRequest) -> None:
    """Count on its address what no view of ours has counted (unknown routes, refusals). Raises RateLimited."""
    if not hasattr(request, _VERDICT):
        bucket = "dialect" if request.path.startswith("/api/") else "general"
        _count(request, bucket, f"ip:{client_address(request)}", None)


def window_of(bucket: str, project_id: uuid.UUID) -> tuple[int, float]:
    """(calls that count on a project's bucket now, when they count no more); (0, now) where that cannot be read."""
    now = clock.now().timestamp()
    try:
        return rates.store().peek(f"{bucket}:project:{project_id}", now)
    except (redis.RedisError, DatabaseError) as error:
        log.warning("the store of rate limits is down: %s", error)
        return 0, now


def add_headers(request: HttpRequest, response: HttpResponseBase) -> None:
    """`X-RateLimit-Limit`, `-Remaining`, `-Reset` (Unix seconds)."""
    verdict: Verdict | None = getattr(request, _VERDICT, None)
    if verdict is not None:
        headers = response.headers
        headers["X-RateLimit-Limit"] = str(verdict.limit)
        headers["X-RateLimit-Remaining"] = str(verdict.remaining)
        headers["X-RateLimit-Reset"] = str(math.ceil(verdict.reset_at))


def client_address(request: HttpRequest) -> str:
    """Who sent the request, past TRUSTED_PROXY_COUNT proxies of ours; IPv6 by its /64, which one host may fill alone.

    Each proxy appends whom it saw to X-Forwarded-For: the n-th from the right is true, what stands before it is the
    client's own invention.
    """
    address: str = request.META.get("REMOTE_ADDR", "")
    proxies: int = settings.TRUSTED_PROXY_COUNT
    if proxies:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
        if len(hops) >= proxies:
            address = hops[-proxies]
    return _network(address) if ":" in address else address[:45]


def _network(address: str) -> str:
    try:
        found = ipaddress.IPv6Address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address[:45]
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


def _project(caller: Caller, named: uuid.UUID | None) -> uuid.UUID | None:
    if caller.sole_project_id is not None:
        return caller.sole_project_id
    return named if named in caller.grants else None


def _count(request: HttpRequest, bucket: str, whose: str, override: str | None) -> None:
    verdict = _verdict(bucket, f"{bucket}:{whose}", _rate(bucket, override))
    setattr(request, _VERDICT, verdict)
    if not verdict.allowed:
        wait = max(1, math.ceil(verdict.reset_at - clock.now().timestamp()))
        raise RateLimited(
            detail=f"At most {verdict.limit} calls of this kind: wait {wait} s.", headers={"Retry-After": str(wait)}
        )


def _rate(bucket: str, override: str | None) -> rates.Rate:
    """What a project says of its own bucket, if that can be read; else what the installation says."""
    try:
        return rates.parse(override or settings.RATE_LIMITS[bucket])
    except ValueError as error:
        log.warning("a project's rate limit is ignored: %s", error)
        return rates.parse(settings.RATE_LIMITS[bucket])


def _verdict(bucket: str, key: str, rate: rates.Rate) -> Verdict:
    """Ask the store; while it is down every call is let through, save those that must not be."""
    global _store_down_until  # noqa: PLW0603  one process, one view of the store
    now = clock.now().timestamp()
    if time.monotonic() >= _store_down_until:
        try:
            return rates.judge(rate, *rates.store().hit(key, rate.seconds, now))
        except (redis.RedisError, DatabaseError) as error:
            _store_down_until = time.monotonic() + RETRY_STORE_SECONDS
            log.warning("the store of rate limits is down, calls aren't counted: %s", error)
    if bucket in FAIL_CLOSED:
        raise Unavailable(detail="Logins can't be counted just now.")
    return Verdict(rate.limit, rate.limit, now + rate.seconds, allowed=True)
