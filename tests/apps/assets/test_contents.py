"""`/v1/assets/{id}/content`: files in, and out again, whole and in parts."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from flowforge.assets.api.downloads import disposition, shown_type
from flowforge.assets.api.ranges import MAX_RANGES, NotSatisfiable, Part, part_of
from flowforge.assets.models import Asset, AssetVersion, Blob
from tests import factories

CONTENT = bytes(range(256)) * 40  # 10,240 bytes


def form(parts: dict[str, Any], file: bytes | None = CONTENT, kind: str = "text/csv", name: str = "a.csv") -> bytes:
    """A body by hand: what browsers never send can be tried, too."""
    lines = [f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in parts.items()]
    body = "".join(lines).encode()
    if file is not None:
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        body += head.encode() + file + b"\r\n"
    return body + b"--b--\r\n"


def send(client: Any, method: str, path: str, body: bytes, **options: Any) -> Any:
    return client.request(method, path, body, content_type="multipart/form-data; boundary=b", **options)


FIELDS = {"type": "dataset", "label": "Orders"}


def home_files(settings: Any) -> list[str]:
    folder = settings.HOME / "assets" / "incoming"
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def test_it_works(client, settings):
    digest = hashlib.sha256(CONTENT).hexdigest()
    body = form(FIELDS | {"metadata": '{"a": [1]}', "sha256": digest})
    made = send(client, "POST", "/v1/assets", body, headers={"Idempotency-Key": "k"}).expect(201)
    assert (made.data["size"], made.data["sha256"], made.data["content_type"]) == (len(CONTENT), digest, "text/csv")
    assert made.data["metadata"] == {"a": [1]}
    again = send(client, "POST", "/v1/assets", body, headers={"Idempotency-Key": "k"}).expect(201)
    assert again.headers["Idempotent-Replayed"] == "true"

    at = f"{made.headers['Location']}/content"
    got = client.get(at, headers={"Accept": "text/csv"}).expect(200)
    assert got.body == CONTENT
    assert {name: got.headers[name] for name in ("ETag", "Accept-Ranges", "Content-Length", "Content-Type")} == {
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
        "Content-Length": str(len(CONTENT)),
        "Content-Type": "text/csv",
    }
    assert got.headers["Content-Disposition"] == "attachment; filename=\"Orders.csv\"; filename*=UTF-8''Orders.csv"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    head = client.request("HEAD", at).expect(200)
    assert (head.headers["Content-Length"], head.headers["ETag"], head.body) == (str(len(CONTENT)), f'"{digest}"', b"")
    assert home_files(settings) == []


def test_djangos_own_client_is_understood(client, tmp_path: Path):
    path = tmp_path / "orders.bin"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        body = encode_multipart(BOUNDARY, {**FIELDS, "file": file})
    made = client.request("POST", "/v1/assets", body, content_type=MULTIPART_CONTENT).expect(201)
    assert made.data["content_type"] == "application/octet-stream"
    assert client.get(f"{made.headers['Location']}/content").body == CONTENT


def test_the_next_content_comes_as_json_as_a_form_or_as_it_is(client, project):
    at = f"/v1/assets/{factories.make_asset(project=project).pk}/content"
    posted = client.post(at, {"content": "x", "content_type": "text/csv"}).expect(201)
    assert (posted.data["version"], posted.headers["Location"]) == (2, f"{at}?version=2")
    assert client.post(at, {"content": "x", "content_type": "text/csv"}).expect(200).data["version"] == 2
    assert send(client, "POST", at, form({}, b"y")).expect(201).data["version"] == 3
    assert send(client, "PUT", at, form({}, b"z", "application/json")).expect(200).data["version"] == 4
    raw = client.request("PUT", at, b'{"a": 1}', content_type="application/json; charset=utf-8").expect(200).data
    assert (raw["version"], raw["content_type"], raw["size"]) == (5, "application/json", 8)
    digest = hashlib.sha256(b"1,2").hexdigest()
    for sent, status in (("0" * 64, 422), (digest, 200)):
        client.request("PUT", at, b"1,2", content_type="text/csv", query={"sha256": sent}).expect(status)
    assert client.request("PUT", at, b"").expect(200).data["size"] == 0  # nothing is a content, too
    assert client.get(at).expect(200).body == b""
    assert [client.get(at, version=number).body for number in (1, 2, 3, 4, 5, 6)] == [
        *(b"a,b\n1,2\n", b"x", b"y", b"z", b'{"a": 1}', b"1,2"),
    ]
    for wrong, status in (("0", 400), ("x", 400), ("99", 404), ("1" * 20, 400)):
        client.get(at, version=wrong).expect(status)


def test_a_prompt_is_uploaded_as_a_file(client):
    body = form({"type": "prompt", "label": "p"}, "Grüß {{ name }}.".encode(), "application/octet-stream")
    made = send(client, "POST", "/v1/assets", body).expect(201)
    assert (made.data["content"], made.data["content_type"]) == ("Grüß {{ name }}.", "text/plain")
    got = client.get(f"{made.headers['Location']}/content")
    assert (got.body.decode(), got.headers["Content-Type"]) == (made.data["content"], "text/plain; charset=utf-8")
    for content in (b"\xff\xfe", b"a\x00b"):
        body = form({"type": "snippet", "label": "s"}, content)
        assert send(client, "POST", "/v1/assets", body).expect(422).pointers == {"/file": "invalid"}


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (form(FIELDS, None), {"/content": "required"}),
        (form({**FIELDS, "content": "x"}), {"/content": "one_of"}),
        (form({**FIELDS, "path": "/etc/passwd"}), {"/path": "unknown_field"}),
        (form({**FIELDS, "metadata": "{"}), {"/metadata": "invalid"}),
        (form({**FIELDS, "metadata": "[]"}), {"/metadata": "invalid"}),
        (form(FIELDS, kind="nonsense"), {"/content_type": "invalid"}),
        (form(FIELDS).replace(b'name="file"', b'name="other"'), {"/other": "unknown_field"}),
        (form(FIELDS)[:-7] + form({}), {"/file": "repeated"}),
        (form({"type": "dataset", "label": "x"}, None)[:-7] + form(FIELDS), {"/type": "repeated"}),
        (form({"type": "dataset"}), {"/label": "required"}),
    ],
)
def test_it_rejects_a_bad_form(client, settings, body: bytes, faults: dict[str, str]):
    assert send(client, "POST", "/v1/assets", body).expect(422).pointers == faults
    assert (Asset.objects.count(), Blob.objects.count(), home_files(settings)) == (0, 0, [])


@pytest.mark.parametrize("body", [form(FIELDS)[:-9], form(FIELDS)[:900], b"--b\r\n", b"nonsense"])
def test_it_rejects_a_form_that_ends_too_early(client, settings, body: bytes):
    assert send(client, "POST", "/v1/assets", body).status in (400, 422)
    client.request("POST", "/v1/assets", body, content_type="multipart/form-data").expect(400)  # no boundary
    assert (Asset.objects.count(), Blob.objects.count(), home_files(settings)) == (0, 0, [])


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\x", "a\x00b", "con", "%2e%2e%2f", "x" * 900])
def test_what_a_client_calls_its_file_names_nothing_here(client, settings, name: str):
    made = send(client, "POST", "/v1/assets", form(FIELDS, name=name)).expect(201)
    (blob,) = Blob.objects.all()
    assert blob.key == f"{made.data['project_id']}/{blob.pk}"
    files = [path.relative_to(settings.HOME) for path in settings.HOME.rglob("*") if path.is_file()]
    assert files == [Path("assets/blobs") / blob.key]
    assert "passwd" not in client.get(f"{made.headers['Location']}/content").headers["Content-Disposition"]


def test_a_json_body_names_no_file_here(client, settings):
    for sneaky in ({"file": "/etc/passwd"}, {"file": {"path": "/etc/passwd"}}, {"files": []}):
        answer = client.post("/v1/assets", {**FIELDS, "content": "x", **sneaky}).expect(422)
        assert set(answer.pointers.values()) == {"unknown_field"}


def test_it_rejects_what_is_too_large(client, project, settings):
    settings.MAX_UPLOAD_BYTES = 100
    at = f"/v1/assets/{factories.make_asset(project=project).pk}/content"
    client.request("PUT", at, b"x" * 100).expect(200)
    client.request("PUT", at, b"x" * 101).expect(413)
    send(client, "POST", at, form({}, b"x" * 101)).expect(413)
    send(client, "POST", "/v1/assets", form(FIELDS, b"x" * 101)).expect(413)
    client.post("/v1/assets", {**FIELDS, "content": "x" * 101}).expect(413)
    declared = {"Content-Length": str(100 + 5 * 1024 * 1024 + 1)}
    client.request("PUT", at, b"x", headers=declared).expect(413)
    assert (AssetVersion.objects.count(), home_files(settings)) == (2, [])
    settings.MAX_UPLOAD_BYTES = 10**9
    client.request("POST", "/v1/assets", b" " * (5 * 1024 * 1024 + 1)).expect(413)


# --- ranges: the examples of RFC 9110, 14.1.2, of a content of 10,000 bytes, and what lies around them -------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-499", (0, 500)),
        ("bytes=500-999", (500, 1000)),
        ("bytes=-500", (9500, 10_000)),
        ("bytes=9500-", (9500, 10_000)),
        ("bytes=0-", (0, 10_000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=-1", (9999, 10_000)),
        ("bytes=500-600,601-999", (500, 1000)),
        ("bytes=500-700,601-999", (500, 1000)),
        ("bytes=601-999, 500-700", (500, 1000)),
        ("bytes=0-0,-1", None),  # two parts: the whole is sent
        ("bytes= 0-999, 4500-5499, -1000", None),
        ("bytes=9999-10000", (9999, 10_000)),
        ("bytes=0-99999999999999999999999999", (0, 10_000)),
        ("bytes=-99999999999999999999999999", (0, 10_000)),
        ("bytes=0-1,20000-", (0, 2)),
        ("BYTES=0-1", (0, 2)),
        ("bytes=0-1,", (0, 2)),
        ("bytes=5-4", None),
        ("bytes=5-4,0-1", None),
        ("bytes=", None),
        ("bytes", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("bytes=-", None),
        ("bytes=1-2-3", None),
        ("bytes=+1-2", None),
        ("bytes=٣-٤", None),
        ("lines=0-1", None),
        ("bytes=" + ",".join(["0-1"] * (MAX_RANGES + 1)), None),
    ],
)
def test_a_range_is_read_as_the_standard_says(header: str, expected: tuple[int, int] | None):
    part = part_of(header, 10_000)
    assert (None if part is None else (part.start, part.end)) == expected


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=10000-", 10_000),
        ("bytes=10000-10001", 10_000),
        ("bytes=-0", 10_000),
        ("bytes=99999999999999999999-", 10_000),
        ("bytes=0-", 0),
        ("bytes=-5", 0),
    ],
)
def test_it_rejects_a_range_beyond_the_content(header: str, size: int):
    with pytest.raises(NotSatisfiable):
        part_of(header, size)


def test_a_range_of_a_part_is_told():
    assert Part(start=500, end=1000).header(10_000) == "bytes 500-999/10000"


@pytest.fixture(params=["dataset", "prompt"])
def stored(request: pytest.FixtureRequest, project: Any) -> tuple[str, bytes, str]:
    """Where it is, its content, its tag."""
    content = CONTENT if request.param == "dataset" else "Grüße an {{ name }}. ".encode() * 300
    asset = factories.make_asset(project=project, type=request.param, content=content)
    return f"/v1/assets/{asset.pk}/content", content, f'"{asset.sha256}"'


def test_a_part_is_given(client, stored):
    at, content, tag = stored
    for header, start, end in (
        ("bytes=0-499", 0, 500),
        ("bytes=-5", len(content) - 5, len(content)),
        ("bytes=1-1", 1, 2),
    ):
        part = client.get(at, headers={"Range": header}).expect(206)
        assert part.body == content[start:end]
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(content)}"
        assert part.headers["Content-Length"] == str(end - start)
        assert part.headers["ETag"] == tag
        assert part.headers["Content-Disposition"].startswith("attachment")


def test_it_rejects_a_part_that_is_not_there(client, stored):
    at, content, _ = stored
    refused = client.get(at, headers={"Range": f"bytes={len(content)}-"}).expect(416)
    assert refused.code == "range_not_satisfiable"
    assert refused.headers["Content-Range"] == f"bytes */{len(content)}"


@pytest.mark.parametrize(
    ("condition", "status"),
    [("{tag}", 206), ('"other"', 200), ("W/{tag}", 200), ("Thu, 01 Jan 2026 00:00:00 GMT", 200)],
)
def test_a_range_of_another_content_is_answered_with_the_whole(client, stored, condition: str, status: int):
    at, content, tag = stored
    headers = {"Range": "bytes=0-9", "If-Range": condition.format(tag=tag)}
    assert client.get(at, headers=headers).expect(status).body == content[: 10 if status == 206 else None]


def test_conditions_go_before_ranges(client, stored):
    at, _, tag = stored
    part = {"Range": "bytes=0-9"}
    assert client.get(at, headers={**part, "If-None-Match": f'"x", W/{tag}'}).expect(304).headers["ETag"] == tag
    client.get(at, headers={**part, "If-None-Match": '"x"'}).expect(206)
    client.get(at, headers={**part, "If-Match": '"x"'}).expect(412)
    client.get(at, headers={**part, "If-Match": tag}).expect(206)


# --- what goes out is a file and nothing else ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    ["text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml", "text/javascript",
     "application/javascript", "text/xsl"],
)  # fmt: skip
def test_nothing_is_rendered_in_the_name_of_this_server(client, project, kind: str):
    asset = factories.make_asset(project=project, content=b"<script>alert(1)</script>", content_type=kind)
    got = client.get(f"/v1/assets/{asset.pk}/content").expect(200)
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["Content-Disposition"].startswith("attachment;")
    assert got.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_other_types_go_out_as_they_came():
    assert shown_type("application/vnd.apache.parquet", is_text=False) == "application/vnd.apache.parquet"
    assert shown_type("text/csv", is_text=False) == "text/csv"  # whose encoding nobody has looked at
    assert shown_type("text/markdown", is_text=True) == "text/markdown; charset=utf-8"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Orders", "attachment; filename=\"Orders.csv\"; filename*=UTF-8''Orders.csv"),
        ("Orders.CSV", "attachment; filename=\"Orders.CSV\"; filename*=UTF-8''Orders.CSV"),
        (
            'a"; x="\r\nSet-Cookie: b',
            "attachment; filename=\"a_x_Set-Cookie_b.csv\"; "
            "filename*=UTF-8''a%22%3B%20x%3D%22Set-Cookie%3A%20b.csv",
        ),
        ("../../etc/passwd", "attachment; filename=\"etc_passwd.csv\"; filename*=UTF-8''.._.._etc_passwd.csv"),
        ("Größe", "attachment; filename=\"Gr_e.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv"),
    ],
)  # fmt: skip
def test_a_file_is_named_by_its_label_without_harm(label: str, expected: str):
    assert disposition(label, "text/csv").isascii()
    assert disposition(label, "text/csv") == expected
