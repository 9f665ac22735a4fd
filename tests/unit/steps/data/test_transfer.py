"""A URL becomes a file in the scratch directory, and a file what a URL names."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.exceptions import ClientError

from flowforge.steps.base import CredentialRefused, StepCancelled
from flowforge.steps.data.failures import DataFailure
from flowforge.steps.data.places import Fetched, place
from flowforge.steps.data.sigv4 import EMPTY_PAYLOAD, Keys, path_of, signed
from flowforge.steps.data.transfer import fetch, store
from tests.support.data import AWS, Assets, Bucket, Credentials, s3_server
from tests.support.http_stub import HttpStub
from tests.support.steps import Attempt


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_server() as found:
        yield found


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    (tmp_path / "files").mkdir()
    return Attempt(
        home=tmp_path,
        file_roots=[tmp_path / "files"],
        credentials=Credentials(aws=("aws", AWS), key=("token", {"token": "canary-token"})),
    )


def bring(attempt: Attempt, url: str, **given: str) -> Fetched:
    return fetch(attempt.context(), place(url, **given), attempt.home / "into")


def keep(attempt: Attempt, url: str, content: bytes, *, replace: bool = True, **given: str) -> None:
    source = attempt.home / "source"
    source.write_bytes(content)
    store(attempt.context(), place(url, **given), source, content_type="text/csv", replace=replace)


def refusal(attempt: Attempt, url: str, **given: str) -> str:
    with pytest.raises(DataFailure) as raised:
        bring(attempt, url, **given)
    assert "canary" not in raised.value.message
    return raised.value.code


def test_it_works(attempt: Attempt) -> None:
    keep(attempt, "file://a.csv", b"a\n1\n")
    found = bring(attempt, "file://a.csv")
    assert (found.path.read_bytes(), found.size, found.format) == (b"a\n1\n", 4, "csv")


# --- the web ------------------------------------------------------------------------------------------------------


def test_a_download_follows_redirects_and_learns_its_format(attempt: Attempt, stub: HttpStub) -> None:
    stub.reply(302, headers={"Location": "/there"})
    stub.reply(text="a\n1\n", headers={"Content-Type": "text/csv; charset=utf-8"})
    found = bring(attempt, f"{stub.url}/here?key=canary", credential="key")
    assert (found.path.read_bytes(), found.format) == (b"a\n1\n", "csv")
    assert [asked.headers["authorization"] for asked in stub.asked] == ["Bearer canary-token"] * 2


def test_a_download_is_bounded(attempt: Attempt, stub: HttpStub) -> None:
    attempt.max_data_bytes = 3
    stub.reply(text="a\n1\n")
    assert refusal(attempt, stub.url) == "response_too_large"


@pytest.mark.parametrize(("status", "code", "again"), [(404, "not_found", False), (503, "http_status", True)])
def test_it_rejects_answers_of_failure(attempt: Attempt, stub: HttpStub, status: int, code: str, again: bool) -> None:
    stub.reply(status, text="canary")
    with pytest.raises(DataFailure) as raised:
        bring(attempt, f"{stub.url}/?key=canary")
    assert (raised.value.code, raised.value.retryable) == (code, again)
    assert "canary" not in raised.value.message


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.csv", "http://169.254.169.254/a", "http://[::ffff:10.0.0.1]/a"])
def test_it_rejects_private_targets(attempt: Attempt, url: str) -> None:
    attempt.allow = ()
    assert refusal(attempt, url) == "target_refused"
    with pytest.raises(DataFailure, match="not a public address"):
        keep(attempt, url, b"x")


def test_a_redirect_to_a_private_target_is_refused(attempt: Attempt, stub: HttpStub) -> None:
    stub.reply(302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    assert refusal(attempt, stub.url) == "target_refused"
    assert len(stub.asked) == 1


def test_it_rejects_a_redirect_to_where_the_credential_may_not_go(attempt: Attempt, stub: HttpStub) -> None:
    attempt.allow = ("127.0.0.0/8", "127.0.0.2")
    stub.reply(302, headers={"Location": "http://127.0.0.2:1/"})
    with pytest.raises(CredentialRefused):
        bring(attempt, stub.url, credential="key")


def test_cancelling_ends_a_download(attempt: Attempt, stub: HttpStub) -> None:
    stub.reply(release=threading.Event())
    threading.Thread(target=lambda: stub.arrived.wait(30) and attempt.cancel.cancel("cancelled"), daemon=True).start()
    with pytest.raises(StepCancelled, match="cancelled"):
        bring(attempt, stub.url)


def test_an_upload_says_how_long_it_is_and_whose(attempt: Attempt, stub: HttpStub) -> None:
    stub.reply(201)
    keep(attempt, f"{stub.url}/a.csv", b"a\n1\n", credential="key", replace=False)
    (asked,) = stub.asked
    assert (asked.method, asked.body, asked.headers["content-type"]) == ("PUT", b"a\n1\n", "text/csv")
    assert (asked.headers["content-length"], asked.headers["if-none-match"]) == ("4", "*")
    assert asked.headers["idempotency-key"] == "key-1"
    stub.reply(412)
    with pytest.raises(DataFailure) as raised:
        keep(attempt, f"{stub.url}/a.csv", b"x", replace=False)
    assert raised.value.code == "target_exists"


# --- S3 -----------------------------------------------------------------------------------------------------------


def test_an_object_comes_and_goes(attempt: Attempt, bucket: Bucket) -> None:
    keep(attempt, "s3://bucket/dir/a b+ü.csv", b"a\n1\n", credential="aws", endpoint=bucket.endpoint)
    assert bucket.read("dir/a b+ü.csv") == b"a\n1\n"
    found = bring(attempt, "s3://bucket/dir/a%20b+ü.csv", credential="aws", endpoint=bucket.endpoint)
    assert (found.path.read_bytes(), found.size, found.format) == (b"a\n1\n", 4, "csv")
    assert found.tag


def test_an_object_is_not_replaced_unless_it_may_be(attempt: Attempt, bucket: Bucket) -> None:
    bucket.write("kept.csv", b"old")
    with pytest.raises(DataFailure) as raised:
        keep(attempt, "s3://bucket/kept.csv", b"x", credential="aws", endpoint=bucket.endpoint, replace=False)
    assert raised.value.code == "target_exists"
    assert bucket.read("kept.csv") == b"old"


def test_it_rejects_an_object_that_is_not_there(attempt: Attempt, bucket: Bucket) -> None:
    assert refusal(attempt, "s3://bucket/none", credential="aws", endpoint=bucket.endpoint) == "not_found"
    with pytest.raises(ClientError):
        bucket.read("none")


def test_the_credential_may_say_where_the_server_is(attempt: Attempt, bucket: Bucket) -> None:
    bucket.write("a.csv", b"a")
    attempt.credentials = Credentials(aws=("aws", {**AWS, "endpoint_url": bucket.endpoint, "region": "eu-west-1"}))
    assert bring(attempt, "s3://bucket/a.csv", credential="aws").size == 1


def test_it_rejects_endpoints_as_it_rejects_urls(attempt: Attempt, bucket: Bucket) -> None:
    attempt.allow = ()
    assert refusal(attempt, "s3://bucket/a", credential="aws", endpoint=bucket.endpoint) == "target_refused"
    assert refusal(attempt, "s3://bucket/a", endpoint="ftp://h") == "target_refused"


def test_no_credential_goes_where_it_may_not(attempt: Attempt) -> None:
    with pytest.raises(CredentialRefused, match=r"bucket\.s3\.eu-west-1\.amazonaws\.com:443"):
        bring(attempt, "s3://bucket/a", credential="aws", region="eu-west-1")
    with pytest.raises(CredentialRefused, match=r"to s3\.us-east-1\.amazonaws\.com:443"):
        bring(attempt, "s3://dotted.bucket/a", credential="aws")


def test_it_rejects_a_credential_of_another_type(attempt: Attempt, bucket: Bucket) -> None:
    with pytest.raises(CredentialRefused) as raised:
        bring(attempt, "s3://bucket/a", credential="key", endpoint=bucket.endpoint)
    assert raised.value.code == "credential_type"


@pytest.mark.parametrize("token", ["", "session-token"])
def test_signatures_are_those_of_the_reference_implementation(token: str) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    path = path_of("bucket", "a b/ü+~*.csv")
    keys = Keys(access_key_id="AKIAEXAMPLE", secret_access_key="secret", session_token=token)
    ours = signed(
        method="PUT",
        host="127.0.0.1:9000",
        path=path,
        headers={"content-type": "text/csv", "if-none-match": "*"},
        payload=EMPTY_PAYLOAD,
        keys=keys,
        region="eu-west-1",
        now=now,
    )
    request = AWSRequest("PUT", f"http://127.0.0.1:9000{path}", headers={**ours, "host": "127.0.0.1:9000"})
    request.context["timestamp"] = ours["x-amz-date"]
    del request.headers["authorization"]
    auth = S3SigV4Auth(BotocoreCredentials("AKIAEXAMPLE", "secret", token or None), "s3", "eu-west-1")
    text = auth.string_to_sign(request, auth.canonical_request(request))
    assert ours["authorization"].endswith(f"Signature={auth.signature(text, request)}")


# --- assets -------------------------------------------------------------------------------------------------------


def test_an_asset_comes_and_is_replaced(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/id-1").write_bytes(b"a\n1\n")
    attempt.assets = Assets(folder=tmp_path / "assets")
    found = bring(attempt, "asset://id-1")
    assert (found.size, found.format, found.tag) == (4, "csv", "1")
    keep(attempt, "asset://id-1", b"new")
    assert (tmp_path / "assets/id-1").read_bytes() == b"new"
    with pytest.raises(DataFailure) as raised:
        keep(attempt, "asset://id-1", b"newer", replace=False)
    assert raised.value.code == "target_exists"


def test_it_rejects_an_asset_that_is_not_there(attempt: Attempt) -> None:
    assert refusal(attempt, "asset://id-1") == "asset_unavailable"


def test_it_does_not_begin_when_told_before(attempt: Attempt) -> None:
    attempt.cancel.cancel("drain")
    with pytest.raises(StepCancelled, match="drain"):
        bring(attempt, "file://a.csv")
    with pytest.raises(StepCancelled, match="drain"):
        keep(attempt, "file://a.csv", b"x")
