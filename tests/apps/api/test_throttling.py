"""Rate limits: whose bucket, what is told, and that no burst slips through, whatever the store."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.http import HttpRequest

from flowforge.api import rates, throttling
from flowforge.api.rates import MemoryStore, Rate, RedisStore, SqlStore
from tests.support.api import ApiClient

LIMIT = "X-RateLimit-Limit"
LEFT = "X-RateLimit-Remaining"
RESET = "X-RateLimit-Reset"


def test_it_works(caller, frozen_clock):
    client = caller("workflows:read;3/m")
    told = [client.get("/v1/things/me").expect(200).headers for _ in range(3)]
    assert [entry[LEFT] for entry in told] == ["2", "1", "0"]
    assert {entry[LIMIT] for entry in told} == {"3"}
    assert {entry[RESET] for entry in told} == {str(int(frozen_clock.moment.timestamp()) + 60)}
    refused = client.get("/v1/things/me").expect(429)
    assert refused.code == "rate_limited"
    assert refused.headers["Retry-After"] == "60"
    frozen_clock.advance(60)
    assert client.get("/v1/things/me").expect(200).headers[LEFT] == "2"


def test_it_rejects_a_burst_over_the_limit_from_many_threads(caller, settings):
    """8 threads, 100 calls each, over the whole path of a request."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general": "500/m"}
    start = threading.Barrier(8)

    def hammer(_: int) -> list[int]:
        client = ApiClient({"X-Test-Caller": "workflows:read"})
        start.wait()
        return [client.get("/v1/things/me").status for _ in range(100)]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for found in pool.map(hammer, range(8)) for status in found]
    assert (statuses.count(200), statuses.count(429)) == (500, 300)


def _redis_store(request: pytest.FixtureRequest) -> RedisStore:
    url = django_settings.CACHE_URL or "redis://127.0.0.1:6379/15"
    try:
        client = redis.Redis.from_url(url, socket_connect_timeout=0.5)
        client.ping()
    except redis.RedisError as error:
        pytest.skip(f"NOT TESTED: no Redis at {url}: {error}")
    request.addfinalizer(lambda: client.delete(*(client.keys("ff:rate:test-*") or ["none"])))
    return RedisStore(url)


def _sql_store(request: pytest.FixtureRequest) -> SqlStore:
    if connection.vendor != "postgresql":
        pytest.skip("NOT TESTED: rate windows in SQL need the PostgreSQL lane")
    request.getfixturevalue("transactional_db")
    return SqlStore()


STORES = {"memory": lambda request: MemoryStore(), "redis": _redis_store, "sql": _sql_store}


@pytest.fixture(params=STORES)
def store(request):
    return STORES[request.param](request)


def test_each_store_counts_a_window_from_its_first_call(store, request):
    key, now = f"test-{id(store)}-a", 1_000_000.0
    assert store.hit(key, 60, now) == (1, pytest.approx(now + 60, abs=0.1))
    assert store.hit(key, 60, now + 1)[0] == 2
    assert store.hit(key + "b", 60, now)[0] == 1


@pytest.mark.parametrize("name", ["memory", "sql"])  # Redis ends a window by its own clock
def test_a_window_ends(name, request):
    store = STORES[name](request)
    assert store.hit("test-end", 60, 1000.0) == (1, 1060.0)
    assert store.hit("test-end", 60, 1059.9) == (2, 1060.0)
    assert store.hit("test-end", 60, 1060.0) == (1, 1120.0)


def test_each_store_lets_exactly_the_limit_through(store):
    """8 threads, 100 calls each: the counts are 1 to 800, each once, so that exactly `limit` are within it."""
    rate, key, start = Rate(250, 60), f"test-{id(store)}-burst", threading.Barrier(8)

    def hammer(_: int) -> int:
        start.wait()
        try:
            return sum(rates.judge(rate, *store.hit(key, 60, 2_000_000.0)).allowed for _ in range(100))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hammer, range(8))) == 250


@pytest.mark.parametrize(
    ("cache_url", "engine", "expected"),
    [
        ("", "django.db.backends.sqlite3", MemoryStore),
        ("", "django.db.backends.postgresql", SqlStore),
        ("redis://127.0.0.1:1/0", "django.db.backends.sqlite3", RedisStore),
        ("rediss://127.0.0.1:1/0", "django.db.backends.postgresql", RedisStore),
    ],
)
def test_the_installation_decides_on_the_store(monkeypatch, settings, cache_url, engine, expected):
    settings.CACHE_URL = cache_url
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", engine)
    assert isinstance(rates.new_store(), expected)


def test_a_flood_of_addresses_is_forgotten(monkeypatch):
    monkeypatch.setattr(MemoryStore, "_CLEAN_FROM", 100)
    store = MemoryStore()
    for index in range(1000):
        store.hit(f"ip:{index}", 60, 1000.0 + index)
    assert len(store._windows) <= 161  # a minute's worth, and up to a hundred that nobody looked for


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/things", {}, 401),
        ("GET", "/v1/things", {"X-Test-Caller": "bad"}, 401),
        ("GET", "/v1/things", {"X-Test-Caller": "none"}, 403),
        ("GET", "/v1/nothing", {}, 404),
        ("PUT", "/v1/things", {}, 405),
        ("TRACE", "/v1/things", {}, 405),
        ("OPTIONS", "/v1/things", {}, 204),
        ("GET", "/v1/things", {"Host": "evil.example"}, 400),
    ],
)
def test_every_answer_tells_the_limit(nobody, method, path, headers, status):
    answer = nobody.request(method, path, headers=headers).expect(status)
    assert int(answer.headers[LEFT]) == 999
    assert {LIMIT, RESET} <= set(answer.headers)


def test_it_rejects_floods_of_unknown_routes_and_of_bad_credentials(nobody, caller, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general": "3/m"}
    nobody.get("/v1/nothing").expect(404)
    nobody.get("/v1/things/").expect(404)
    caller("bad").get("/v1/things").expect(401)
    nobody.get("/v1/nothing").expect(429)
    caller("bad").get("/v1/things").expect(429)
    caller("admin").get("/v1/things/me").expect(200)  # a known caller has a bucket of its own


def test_an_override_that_nobody_can_read_counts_as_none(caller):
    assert caller("admin;lots").get("/v1/things/me").expect(200).headers[LIMIT] == "1000"


def test_runs_have_a_bucket_of_their_own(writer, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "runs": "1/m"}
    assert writer.post("/v1/things/x:run").expect(200).headers[LIMIT] == "1"
    writer.post("/v1/things/x:run").expect(429)
    writer.get("/v1/things/me").expect(200)


def test_a_person_with_several_projects_counts_for_itself(caller, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general": "1/m"}
    caller("admin").get("/v1/things/me").expect(200)
    caller("admin two").get("/v1/things/me").expect(200)
    caller("admin two").get("/v1/things/me").expect(429)


def test_logins_count_on_the_address_whoever_asks(nobody, caller, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "login": "1/m"}
    nobody.post("/v1/open", {}).expect(200)
    caller("admin").post("/v1/open", {}).expect(429)


def test_dialects_count_on_the_address_whoever_asks(caller, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "dialect": "1/m"}
    caller("admin").get("/v1/things/dialect").expect(200)
    caller("admin two").get("/v1/things/dialect").expect(429)


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "forwarded", "peer", "expected"),
    [
        (0, None, "203.0.113.9", "203.0.113.9"),
        (0, "198.51.100.1", "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1", "10.0.0.1", "198.51.100.1"),
        (1, "1.2.3.4, 198.51.100.1", "10.0.0.1", "198.51.100.1"),
        (2, "1.2.3.4, 198.51.100.1, 10.0.0.2", "10.0.0.1", "198.51.100.1"),
        (2, "198.51.100.1", "10.0.0.1", "10.0.0.1"),
        (1, None, "10.0.0.1", "10.0.0.1"),
        (0, None, "2001:db8::1", "2001:db8::/64"),
        (0, None, "2001:db8::ffff:1", "2001:db8::/64"),
        (0, None, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "not:an:address", "10.0.0.1", "not:an:address"),
    ],
)
def test_the_address_is_what_our_proxies_saw(settings, proxies, forwarded, peer, expected):
    settings.TRUSTED_PROXY_COUNT = proxies
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": peer} | ({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})
    assert throttling.client_address(request) == expected


def test_it_rejects_an_attacker_who_invents_addresses(nobody, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "general": "2/m"}
    statuses = [
        nobody.get("/v1/nothing", headers={"X-Forwarded-For": f"198.51.100.{index}"}).status for index in range(4)
    ]
    assert statuses == [404, 404, 429, 429]


# --- a store that is down -----------------------------------------------------------------------------------------


class Broken:
    def hit(self, key: str, seconds: int, now: float) -> tuple[int, float]:
        raise self.error


@pytest.mark.parametrize("error", [redis.ConnectionError("gone"), redis.TimeoutError("slow"), OperationalError("gone")])
def test_without_its_store_calls_go_through_but_logins_do_not(nobody, caller, monkeypatch, error):
    Broken.error = error
    monkeypatch.setattr(throttling, "_store_down_until", 0.0)
    monkeypatch.setattr(rates, "store", Broken)
    answer = caller("admin").get("/v1/things/me").expect(200)
    assert answer.headers[LIMIT] == answer.headers[LEFT] == "1000"
    refused = nobody.post("/v1/open", {}).expect(503)
    assert refused.code == "unavailable"
    assert "Retry-After" in refused.headers


@pytest.mark.parametrize(("text", "rate"), [("500/m", Rate(500, 60)), ("1/s", Rate(1, 1)), (" 7/h", Rate(7, 3600))])
def test_rates_are_read(text, rate):
    assert rates.parse(text) == rate


@pytest.mark.parametrize("text", ["", "500", "0/m", "-1/m", "1.5/m", "5/w", "m/5", "5/m/m"])
def test_it_rejects_what_is_no_rate(text):
    with pytest.raises(ValueError, match="not a rate"):
        rates.parse(text)
