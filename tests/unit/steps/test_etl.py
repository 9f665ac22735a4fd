"""etl: formats and transformations. Its places: test_etl_places.py; what SQL may: test_etl_sql.py."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from flowforge.steps.etl.step import Etl
from flowforge.steps.registry import default_registry
from tests.support.etl import ROWS, fail, read, refuse, run, transform, write
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "files"
    found.mkdir()
    return found


@pytest.fixture
def attempt(tmp_path: Path, root: Path) -> Attempt:
    return Attempt(home=tmp_path, file_roots=[root])


def test_it_works(attempt: Attempt, root: Path) -> None:
    (root / "orders.csv").write_text("id,city,price\n1,Rome,2.5\n2,Rome,3\n3,Oslo,1\n")
    output = run(
        attempt,
        "file://orders.csv",
        "file://by/city.json",
        transformation=[{"rename": {"price": "p"}}, {"sql": "SELECT city, sum(p) AS total FROM source GROUP BY city"}],
    )
    assert sorted(read(root / "by/city.json", "json"), key=str) == [
        {"city": "Oslo", "total": 1.0},
        {"city": "Rome", "total": 5.5},
    ]
    assert (output["rows_read"], output["rows_written"], output["columns"]) == (3, 2, ["city", "total"])
    assert output["bytes"] == (root / "by/city.json").stat().st_size
    assert output["schema"] == [{"name": "city", "type": "VARCHAR"}, {"name": "total", "type": "DOUBLE"}]
    assert list(attempt.home.glob("scratch/*")) == []


@pytest.mark.parametrize("target", ["csv", "json", "ndjson", "parquet"])
@pytest.mark.parametrize("source", ["csv", "json", "ndjson", "parquet"])
def test_every_format_becomes_every_format(attempt: Attempt, root: Path, source: str, target: str) -> None:
    write(root / f"in.{source}", source)
    output = run(attempt, f"file://in.{source}", f"file://out.{target}")
    assert read(root / f"out.{target}", target) == ROWS
    assert (output["rows_read"], output["rows_written"]) == (3, 3)


def test_options_of_csv(attempt: Attempt, root: Path) -> None:
    (root / "in.txt").write_bytes("007;'a;ä'\n-;b\n".encode("latin-1"))
    options = {
        "delimiter": ";",
        "header": False,
        "quote": "'",
        "encoding": "latin-1",
        "null": "-",
        "types": {"column0": "text"},
    }
    target = {"delimiter": "\t", "null": "NA"}
    run(attempt, "file://in.txt", "file://out.csv", format="csv", source_options=options, target_options=target)
    assert (root / "out.csv").read_text() == "column0\tcolumn1\n007\ta;ä\nNA\tb\n"


def test_packed_files(attempt: Attempt, root: Path) -> None:
    (root / "in.csv.gz").write_bytes(gzip.compress(b"a\n1\n"))
    run(attempt, "file://in.csv.gz", "file://out.ndjson.gz")
    assert gzip.decompress((root / "out.ndjson.gz").read_bytes()) == b'{"a":1}\n'


def test_types_are_looked_for_in_the_whole_file_if_need_be(attempt: Attempt, root: Path) -> None:
    (root / "in.csv").write_text("a\n" + "1\n" * 30_000 + "n/a\n")
    output = run(attempt, "file://in.csv", "file://out.parquet")
    assert (output["rows_read"], output["schema"]) == (30_001, [{"name": "a", "type": "VARCHAR"}])


def test_only_iso_dates_are_dates(attempt: Attempt) -> None:
    rows = transform(attempt, "a,b,c\n01/02/2026,2026-02-01,2026-02-01T10:00:00Z\n", [])
    assert rows == [{"a": "01/02/2026", "b": "2026-02-01", "c": "2026-02-01 10:00:00+00"}]


def test_fields_that_come_late_are_not_lost(attempt: Attempt, root: Path) -> None:
    (root / "in.ndjson").write_text('{"a":1}\n' * 30_000 + '{"a":1,"late":{"b":2}}\n')
    output = run(attempt, "file://in.ndjson", "file://out.csv", transformation="normalize")
    assert output["columns"] == ["a", "late_b"]


# --- transformations ----------------------------------------------------------------------------------------------


def test_normalize_makes_columns_of_nested_objects(attempt: Attempt) -> None:
    content = '[{"id":1,"a":{"b":{"c":2},"d":[1,{"e":2}]}},{"id":2,"a":null,"f":"x"}]'
    assert transform(attempt, content, "normalize") == [
        {"id": 1, "a_b_c": 2, "a_d": [1, {"e": 2}], "f": None},
        {"id": 2, "a_b_c": None, "a_d": None, "f": "x"},
    ]
    assert list(transform(attempt, content, {"normalize": {"separator": "."}})[0]) == ["id", "a.b.c", "a.d", "f"]


def test_normalize_reads_json_within_a_csv_that_is_cast_to_it(attempt: Attempt) -> None:
    content = 'id,p\n1,"{""x"":1}"\n2,"{""y"":{""z"":""t""}}"\n'
    assert transform(attempt, content, [{"cast": {"p": "json"}}, "normalize"]) == [
        {"id": 1, "p_x": 1, "p_y_z": None},
        {"id": 2, "p_x": None, "p_y_z": "t"},
    ]


def test_nested_values_are_json_in_csv(attempt: Attempt, root: Path) -> None:
    (root / "in.json").write_text('[{"a":{"b":[1]}}]')
    run(attempt, "file://in.json", "file://out.csv")
    assert (root / "out.csv").read_text() == 'a\n"{""b"":[1]}"\n'


def test_deduplicate_drop_nulls_select_rename_cast_and_filter(attempt: Attempt) -> None:
    content = "a,b\n1,x\n1,x\n1,y\n2,\n3,z\n"
    assert len(transform(attempt, content, "deduplicate")) == 4
    assert transform(attempt, content, {"deduplicate": ["a"]}) == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": None},
        {"a": 3, "b": "z"},
    ]
    assert len(transform(attempt, content, "drop_nulls")) == 4
    assert len(transform(attempt, content, {"drop_nulls": ["a"]})) == 5
    steps = [{"filter": "a > 1"}, {"cast": {"a": "text"}}, {"rename": {"a": "n"}}, {"select": ["n"]}]
    assert transform(attempt, content, steps) == [{"n": "2"}, {"n": "3"}]


def test_each_sql_finds_what_the_step_before_it_made(attempt: Attempt) -> None:
    steps = [
        {"sql": "SELECT a + 1 AS a FROM source; -- one"},
        {"sql": "WITH x AS (FROM source) SELECT a * 10 AS a FROM x UNION ALL SELECT a FROM source ORDER BY a"},
    ]
    assert transform(attempt, "a\n1\n", steps) == [{"a": 2}, {"a": 20}]


@pytest.mark.parametrize(
    ("transformation", "pointer", "code"),
    [
        ("sort", "/transformation", "unknown_transformation"),
        (["normalize", "sort"], "/transformation/1", "unknown_transformation"),
        ("rename", "/transformation", "required"),
        ([{"cast": {"a/b": "money"}}], "/transformation/0/cast/a~1b", "unknown_type"),
        ([{"cast": {"a": "decimal(40,2)"}}], "/transformation/0/cast/a", "unknown_type"),
    ],
)
def test_it_rejects_transformations_by_their_place(transformation: Any, pointer: str, code: str) -> None:
    config = {"source_url": "file://a.csv", "target_url": "file://b.csv", "transformation": transformation}
    assert [(fault.pointer, fault.code) for fault in Etl().check(config)] == [(pointer, code)]


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"source_url": "ftp://h/a.csv"}, "/source_url"),
        ({"source_url": "s3://bucket/a"}, "/format"),
        ({"target_url": "postgres://u:p@h/d?table=t"}, "/target_url"),
        ({"target_url": "asset://x", "mode": "append"}, "/mode"),
        ({"source_options": {"types": {"a": "money"}}}, "/source_options/types/a"),
        ({"source_options": {"delimiter": "::"}}, "/source_options/delimiter"),
        ({"transformation": {"sql": "SELECT 1", "filter": "true"}}, "/transformation"),
    ],
)
def test_it_rejects_a_config_by_its_place(config: dict[str, Any], pointer: str) -> None:
    whole = {"source_url": "file://a.csv", "target_url": "file://b.csv", **config}
    assert [fault.pointer for fault in default_registry().faults("etl", whole)] == [pointer]


def test_it_rejects_what_only_rendering_shows(attempt: Attempt) -> None:
    assert fail(attempt, "ftp://h/a", "file://b.csv").code == "unsupported_location"
    assert fail(attempt, "file://a.csv", "file://b.csv", transformation="sort").code == "invalid_config"


@pytest.mark.parametrize(
    ("transformation", "code"),
    [
        ({"select": ["c"]}, "unknown_column"),
        ({"rename": {"a": "b"}}, "column_conflict"),
        ({"cast": {"b": "integer"}}, "invalid_data"),
        ({"filter": "c = 1"}, "invalid_sql"),
        ({"sql": "SELEC 1"}, "invalid_sql"),
        ({"sql": "SELECT 1; SELECT 2"}, "sql_refused"),
    ],
)
def test_it_rejects_what_does_not_fit_the_rows(attempt: Attempt, transformation: Any, code: str) -> None:
    assert refuse(attempt, "a,b\n1,x\n", [transformation]).code == code


@pytest.mark.parametrize(
    ("content", "line"),
    [("a,b\n1,x\n2,y,z\n", 3), ("a,b\n1,x\n2\n", 3), ('a,b\n1,"x\n', 2), ("a,a\n1,2\n", 1)],
)
def test_it_rejects_a_bad_csv_by_its_line(attempt: Attempt, content: str, line: int) -> None:
    failed = refuse(attempt, content)
    assert (failed.code, failed.details["line"]) == ("invalid_data", line)


def test_it_rejects_bad_bytes_and_bad_json_by_their_line(attempt: Attempt, root: Path) -> None:
    (root / "in.csv").write_bytes(b"a\nx\n\xff\n")
    assert fail(attempt, "file://in.csv", "file://out.csv").details["line"] == 3
    (root / "in.ndjson").write_text('{"a":1}\n{"a":\n')
    assert fail(attempt, "file://in.ndjson", "file://out.csv").details["line"] == 2
    assert refuse(attempt, "[1, 2]", format="json").code == "invalid_data"
    assert refuse(attempt, "nonsense", format="parquet").code == "invalid_data"


def test_nothing_is_nothing(attempt: Attempt, root: Path) -> None:
    assert transform(attempt, "[]", "normalize") == []
    assert transform(attempt, "", []) == []
    (root / "in.json").write_text("[]")
    assert fail(attempt, "file://in.json", "file://out.parquet").code == "no_columns"


def test_fields_without_any_value_take_the_type_of_what_they_are_appended_to(attempt: Attempt, root: Path) -> None:
    (root / "out.json").write_text('[{"a":1,"b c":{"d e":"x"}}]')
    (root / "in.json").write_text('[{"a":null,"b c":{"d e":"y"}}]')
    run(attempt, "file://in.json", "file://out.json", mode="append")
    assert read(root / "out.json", "json")[1] == {"a": None, "b c": {"d e": "y"}}
