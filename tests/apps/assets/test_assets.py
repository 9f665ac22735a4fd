"""`/v1/assets`: kept with their versions, found, changed, removed, rendered."""

import hashlib
from typing import Any

import pytest

from flowforge.assets.models import Asset, AssetVersion, Blob
from tests import factories

PROMPT = {"type": "prompt", "label": "Greeting", "content": "Dear {{ name }}, {{ count + 1 }} of {{ name|upper }}."}
DATASET = {"type": "dataset", "label": "Orders", "content": "a,b\n1,2\n", "content_type": "text/csv"}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_it_works(client, project):
    made = client.post("/v1/assets", PROMPT | {"metadata": {"owner": "sales"}}).expect(201)
    assert made.headers["Location"] == f"/v1/assets/{made.data['id']}"
    assert made.data == {
        "id": made.data["id"],
        "project_id": str(project.pk),
        "type": "prompt",
        "label": "Greeting",
        "metadata": {"owner": "sales"},
        "version": 1,
        "size": len(PROMPT["content"]),
        "sha256": sha256(PROMPT["content"]),
        "content_type": "text/plain",
        "content": PROMPT["content"],
        "variables": ["count", "name"],
        "created_at": made.data["created_at"],
        "updated_at": made.data["updated_at"],
    }
    read = client.get(made.headers["Location"]).expect(200)
    assert (read.data, read.headers["ETag"]) == (made.data, made.headers["ETag"])
    row = {name: value for name, value in made.data.items() if name not in ("content", "variables")}
    assert client.get("/v1/assets").expect(200).data == [row]
    assert client.get(f"/v1/projects/{project.pk}/assets").expect(200).data == [row]


def test_a_dataset_is_in_the_store_and_its_content_not_in_the_answer(client, project):
    made = client.post(f"/v1/projects/{project.pk}/assets", DATASET | {"sha256": sha256(DATASET["content"])})
    assert made.expect(201).data["content_type"] == "text/csv"
    assert "content" not in made.data
    assert AssetVersion.objects.get().text is None
    assert Blob.objects.get().state == "kept"
    assert client.get(f"{made.headers['Location']}/content").body == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"type": "picture"}, {"/type": "invalid_choice"}),
        ({"label": ""}, {"/label": "blank"}),
        ({"label": "x" * 201}, {"/label": "max_length"}),
        ({"label": 7}, {"/label": "invalid"}),
        ({"content": 7}, {"/content": "invalid"}),
        ({"content": "{{ 1 +"}, {"/content": "expression_syntax"}),
        ({"content": "x" * (256 * 1024 + 1)}, {"/content": "max_length"}),
        ({"metadata": []}, {"/metadata": "invalid"}),
        ({"metadata": {"x": "y" * 17_000}}, {"/metadata": "max_length"}),
        ({"content_type": "text/plain; charset=utf-8"}, {"/content_type": "invalid"}),
        ({"content_type": "text"}, {"/content_type": "invalid"}),
        ({"sha256": "0" * 64}, {"/sha256": "mismatch"}),
        ({"sha256": "x"}, {"/sha256": "invalid"}),
        ({"size": 3}, {"/size": "unknown_field"}),
        ({"project_id": factories.unknown_id()}, {"/project_id": "not_found"}),
    ],
)
def test_it_rejects_a_bad_body(client, change: dict[str, Any], faults: dict[str, str]):
    assert client.post("/v1/assets", {**PROMPT, **change}).expect(422).pointers == faults
    assert not Asset.objects.exists()


def test_it_rejects_an_asset_without_content(client):
    bare = {name: value for name, value in PROMPT.items() if name != "content"}
    assert client.post("/v1/assets", bare).expect(422).pointers == {"/content": "required"}
    assert client.post("/v1/assets", []).expect(422).pointers == {"": "invalid"}
    client.request("POST", "/v1/assets", b"").expect(400)
    client.request("POST", "/v1/assets", b'{"label": "x", "label": "y"}').expect(400)
    client.request("POST", "/v1/assets", b"a,b", content_type="text/csv").expect(415)
    client.request("POST", "/v1/assets", b"{}", headers={"Content-Encoding": "gzip"}).expect(415)


def test_it_rejects_a_path_and_a_body_that_contradict_each_other(client, client_with, project, other_project):
    body = PROMPT | {"project_id": str(other_project.pk)}
    at = f"/v1/projects/{project.pk}/assets"
    assert client.post(at, body).expect(422).pointers == {"/project_id": "contradiction"}
    client_with("admin", project=other_project).post(at, PROMPT).expect(404)


def test_it_rejects_writing_into_an_archived_project(client_as, project):
    owner = client_as("owner")
    asset = factories.make_asset(project=project)
    project.status = "archived"
    project.save(update_fields=["status"])
    owner.post("/v1/assets", PROMPT | {"project_id": str(project.pk)}).expect(409)
    owner.patch(f"/v1/assets/{asset.pk}", {"label": "x"}).expect(409)
    owner.put(f"/v1/assets/{asset.pk}/content", b"x").expect(409)
    assert owner.get(f"/v1/assets/{asset.pk}/content").expect(200).body == b"a,b\n1,2\n"
    assert Asset.objects.get().version == 1


def test_a_change_makes_a_version_where_the_content_is_another(client, project):
    at = client.post("/v1/assets", PROMPT).expect(201).headers["Location"]
    assert client.patch(at, {"label": "Other", "metadata": {"a": 1}}).expect(200).data["version"] == 1
    changed = client.patch(at, {"content": "Hello."}).expect(200).data
    assert (changed["version"], changed["content"], changed["variables"]) == (2, "Hello.", [])
    assert (changed["label"], changed["metadata"]) == ("Other", {"a": 1})
    assert client.patch(at, {"content": "Hello."}).expect(200).data["version"] == 2
    versions = client.get(f"{at}/versions").expect(200).data
    assert [(version["version"], version["size"]) for version in versions] == [(2, 6), (1, len(PROMPT["content"]))]
    assert versions[0].keys() == {"version", "size", "sha256", "content_type", "created_by", "created_at"}
    assert client.get(f"{at}/content", version=1).body.decode() == PROMPT["content"]
    assert client.get(f"{at}/content").body == b"Hello."
    assert client.patch(at, {"content_type": "text/x"}).expect(422).pointers == {"/content": "required"}
    assert client.patch(at, {"type": "snippet"}).expect(422).pointers == {"/type": "unknown_field"}


def test_it_rejects_a_change_of_another_state(client, project):
    at = client.post("/v1/assets", DATASET).expect(201).headers["Location"]
    tag, content_tag = client.get(at).headers["ETag"], client.get(f"{at}/content").headers["ETag"]
    for header in ('"stale"', f"W/{tag}"):
        client.patch(at, {"label": "x"}, headers={"If-Match": header}).expect(412)
        client.put(f"{at}/content", b"x", headers={"If-Match": header}).expect(412)
        client.post(f"{at}/content", {"content": "x"}, headers={"If-Match": header}).expect(412)
        client.delete(at, headers={"If-Match": header}).expect(412)
    assert Asset.objects.get().label == "Orders"
    client.put(f"{at}/content", b"x", headers={"If-Match": content_tag}).expect(200)
    client.put(f"{at}/content", b"y", headers={"If-Match": content_tag}).expect(412)
    tag = client.get(at).headers["ETag"]
    client.get(at, headers={"If-None-Match": tag}).expect(304)
    client.delete(at, headers={"If-Match": tag}).expect(204)
    client.get(at).expect(404)


def test_the_same_key_makes_one_asset(client):
    key = {"Idempotency-Key": "k"}
    made = client.post("/v1/assets", DATASET, headers=key).expect(201)
    again = client.post("/v1/assets", DATASET, headers=key).expect(201)
    assert (again.data, again.headers["Idempotent-Replayed"]) == (made.data, "true")
    assert client.post("/v1/assets", DATASET | {"content": "x"}, headers=key).expect(422).code == (
        "idempotency_key_reused"
    )
    at = f"{made.headers['Location']}/content"
    for _ in range(2):
        assert client.post(at, {"content": "new"}, headers={"Idempotency-Key": "n"}).expect(201).data["version"] == 2
    assert (Asset.objects.count(), AssetVersion.objects.count(), Blob.objects.count()) == (1, 2, 2)


def test_it_rejects_more_than_the_project_may_keep(client, project):
    client.patch(f"/v1/projects/{project.pk}", {"settings": {"max_asset_bytes": 10}}).expect(200)
    made = client.post("/v1/assets", DATASET, headers={"Idempotency-Key": "k"}).expect(201)
    refused = client.post("/v1/assets", DATASET).expect(409)
    assert refused.code == "quota_exceeded"
    assert (refused.json["used_bytes"], refused.json["limit_bytes"], refused.json["asked_bytes"]) == (8, 10, 8)
    client.put(f"{made.headers['Location']}/content", b"123").expect(409)
    client.post("/v1/assets", DATASET, headers={"Idempotency-Key": "k"}).expect(201)  # the answer that there is
    client.delete(made.headers["Location"]).expect(204)
    client.post("/v1/assets", DATASET).expect(201)
    for wrong in (-1, "10", 1.5):
        faults = client.patch(f"/v1/projects/{project.pk}", {"settings": {"max_asset_bytes": wrong}}).expect(422)
        assert "/settings/max_asset_bytes" in faults.pointers


def test_lists_are_filtered(client, project, stranger, other_project):
    factories.make_asset(project=project, label="Orders of 2026")
    factories.make_asset(project=project, label="Customers", type="snippet")
    factories.make_asset(project=other_project, label="Orders elsewhere")

    def labels(**query: Any) -> list[str]:
        return [row["label"] for row in client.get("/v1/assets", **query).expect(200).data]

    assert labels() == ["Customers", "Orders of 2026"]
    assert labels(label="orders") == ["Orders of 2026"]
    assert labels(type="snippet") == ["Customers"]
    assert labels(project_id=str(project.pk), type="prompt") == []
    client.get("/v1/assets", type="picture").expect(400)
    client.get("/v1/assets", project_id=str(other_project.pk)).expect(404)
    first = client.get("/v1/assets", limit=1).expect(200)
    assert first.meta["has_more"]
    assert [row["label"] for row in client.get("/v1/assets", limit=1, cursor=first.meta["cursor"]).data] == [
        "Orders of 2026"
    ]


def test_a_list_costs_the_same_however_long(client, project, query_counter):
    asset = factories.make_asset(project=project)
    paths = ("/v1/assets", f"/v1/assets/{asset.pk}/versions")
    for path in paths:
        client.get(path).expect(200)
    with query_counter() as few:
        for path in paths:
            client.get(path).expect(200)
    for number in range(5):
        factories.make_asset(project=project)
        client.put(f"/v1/assets/{asset.pk}/content", f"{number}".encode()).expect(200)
    with query_counter() as many:
        for path in paths:
            client.get(path).expect(200)
    assert len(few) == len(many) == 3  # the assets; an asset and its versions


# --- prompts ------------------------------------------------------------------------------------------------------


def rendered(client: Any, at: str, **body: Any) -> Any:
    return client.post(f"{at}:render", body)


def test_a_prompt_is_rendered(client):
    at = client.post("/v1/assets", PROMPT).expect(201).headers["Location"]
    answer = rendered(client, at, variables={"name": "Ada", "count": 1}).expect(200)
    assert answer.data == {"text": "Dear Ada, 2 of ADA.", "variables": ["count", "name"], "version": 1}
    client.patch(at, {"content": "{{ count }}"}).expect(200)
    assert rendered(client, at, variables={"count": 7}).expect(200).data["text"] == "7"
    assert rendered(client, at, variables={"name": "A", "count": 1}, version=1).expect(200).data["version"] == 1
    rendered(client, at, variables={}, version=9).expect(404)


def test_what_variables_hold_is_data(client):
    at = client.post("/v1/assets", PROMPT | {"content": "<{{ x }}>"}).expect(201).headers["Location"]
    for value in ("{{ 1 + 1 }}", "{{ x", "''.__class__"):
        assert rendered(client, at, variables={"x": value}).expect(200).data["text"] == f"<{value}>"


@pytest.mark.parametrize(
    ("variables", "faults"),
    [
        ({"name": "Ada"}, {"/variables/count": "required"}),
        ({"name": "Ada", "count": 1, "nmae": 1}, {"/variables/nmae": "unknown_variable"}),
        (
            {"other": 1},
            {
                f"/variables/{name}": code
                for name, code in (("name", "required"), ("count", "required"), ("other", "unknown_variable"))
            },
        ),
        ({"name": "Ada", "count": "x"}, {"/variables": "expression_error"}),
        ({"name": "Ada", "count": None}, {"/variables": "expression_error"}),
        (None, {"/variables": "null"}),
        ([], {"/variables": "invalid"}),
    ],
)
def test_it_rejects_variables_that_do_not_fit(client, variables: Any, faults: dict[str, str]):
    at = client.post("/v1/assets", PROMPT).expect(201).headers["Location"]
    assert rendered(client, at, variables=variables).expect(422).pointers == faults


def test_it_rejects_a_prompt_that_spends_too_much(client):
    greedy = PROMPT | {"content": "{{ ('x' * 1000000) * 1000 ~ name }}"}
    at = client.post("/v1/assets", greedy).expect(201).headers["Location"]
    found = rendered(client, at, variables={"name": "Ada"}).expect(422).pointers
    assert found in ({"/variables": "expression_budget"}, {"/variables": "expression_error"})


def test_it_rejects_rendering_what_is_no_prompt(client):
    at = client.post("/v1/assets", DATASET).expect(201).headers["Location"]
    rendered(client, at, variables={}).expect(409)
