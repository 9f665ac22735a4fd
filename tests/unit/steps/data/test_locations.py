"""URLs of data as far as their text shows."""

import pytest

from flowforge.steps.data.failures import DataFailure
from flowforge.steps.data.locations import faults_of_location, parse
from flowforge.steps.data.places import place


def test_it_works() -> None:
    found = parse("postgres://ada@db.example.com:6432/sales?table=orders&schema=raw&sslmode=require")
    assert (found.scheme, found.host, found.port, found.database) == ("postgres", "db.example.com", 6432, "sales")
    assert (found.user, found.schema, found.table, found.sslmode) == ("ada", "raw", "orders", "require")
    assert found.shown == "postgres://db.example.com:6432/sales"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///data/a%20b.csv", "/data/a b.csv"),
        ("file://localhost/data/a.csv", "/data/a.csv"),
        ("file://in/a.csv", "in/a.csv"),
        ("file:a.csv", "a.csv"),
        ("s3://bucket/a/b.csv", "a/b.csv"),
        ("asset://0198-ab", "0198-ab"),
        ("sqlite:///shop.db?table=orders", "/shop.db"),
        ("sqlite:////data/shop.db?table=orders", "//data/shop.db"),
    ],
)
def test_the_path_of_each_kind(url: str, path: str) -> None:
    assert parse(url).path == path


def test_a_schema_may_stand_before_its_table() -> None:
    found = parse("postgresql://h/d?table=raw.orders")
    assert (found.scheme, found.schema, found.table) == ("postgres", "raw", "orders")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://h/a.csv", "unsupported_location"),
        ("a.csv", "unsupported_location"),
        ("", "unsupported_location"),
        ("http://[::1/a", "invalid_url"),
        ("http:///a", "invalid_url"),
        ("https://ada@h/a", "password_in_url"),
        ("https://ada:secret@h/a", "password_in_url"),
        ("postgres://ada:secret@h/d?table=t", "password_in_url"),
        ("s3://key:secret@bucket/a", "password_in_url"),
        ("postgres://h/d", "invalid_url"),
        ("postgres://h/d?table=t&options=-c", "invalid_url"),
        ("postgres://h/d?table=t&sslmode=none", "invalid_url"),
        ("postgres://h:x/d?table=t", "invalid_url"),
        (f"postgres://h/d?table={'t' * 64}", "invalid_url"),
        ("sqlite://h/d.db?table=t", "invalid_url"),
        ("sqlite:///d.db", "invalid_url"),
        ("s3://bucket", "invalid_url"),
        ("s3://Bucket/a", "invalid_url"),
        ("s3://bucket/a/", "invalid_url"),
        ("asset://a/b", "invalid_url"),
        ("file:///", "invalid_url"),
        ("file:///a%00b", "invalid_url"),
        ("file:///a%0ab", "invalid_url"),
    ],
)
def test_it_rejects_what_is_no_place(url: str, code: str) -> None:
    with pytest.raises(DataFailure) as raised:
        parse(url)
    assert raised.value.code == code
    assert "secret" not in raised.value.message


def test_what_is_shown_has_no_query() -> None:
    assert parse("https://h/a.csv?token=canary#x").shown == "https://h/a.csv"


def test_faults_have_their_place_and_expressions_pass() -> None:
    config = {"a": "ftp://h/x", "b": "{{ inputs.url }}", "c": "s3://bucket/{{ inputs.key }}", "d": "asset://1"}
    assert [fault.pointer for name in config for fault in faults_of_location(config, name)] == ["/a"]


@pytest.mark.parametrize(
    ("url", "format"),
    [
        ("file://a.CSV", "csv"),
        ("file://a.csv.gz", "csv"),
        ("https://h/a.jsonl?x=.csv", "ndjson"),
        ("s3://bucket/a.parquet", "parquet"),
        ("https://h/a", None),
    ],
)
def test_a_name_promises_a_format(url: str, format: str | None) -> None:
    assert place(url).format == format
