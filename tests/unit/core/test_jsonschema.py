"""JSON Schema for schemas that clients write."""

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.core import pointers
from flowforge.core.jsonschema import SchemaError, apply_defaults, compile_schema
from flowforge.core.jsonschema.validator import CACHE_SIZE, MAX_SCHEMA_BYTES
from tests.support.definitions import JSON


def faults_of(schema: Any, instance: Any) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in compile_schema(schema).faults(instance)]


PERSON = {
    "type": "object",
    "required": ["name", "born"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "born": {"type": "string", "format": "date"},
        "mails": {"type": "array", "items": {"type": "string", "format": "email"}, "maxItems": 2},
    },
    "additionalProperties": False,
}


def test_it_works() -> None:
    assert faults_of(PERSON, {"name": "Ada", "born": "1815-12-10", "mails": ["ada@example.com"]}) == []


def test_it_rejects_everything_at_once_by_place() -> None:
    assert sorted(faults_of(PERSON, {"name": "", "mails": ["x", 1], "a/b~c": 1, "z": 2})) == [
        ("/a~1b~0c", "additional_properties"),
        ("/born", "required"),
        ("/mails/0", "format"),
        ("/mails/1", "type"),
        ("/name", "min_length"),
        ("/z", "additional_properties"),
    ]


@pytest.mark.parametrize(
    ("schema", "instance", "pointer", "code"),
    [
        ({"type": "integer"}, "1", "", "type"),
        ({"type": "integer"}, True, "", "type"),
        ({"enum": [1, 2]}, 3, "", "enum"),
        ({"const": 1}, 2, "", "const"),
        ({"minimum": 1}, 0, "", "minimum"),
        ({"exclusiveMaximum": 1}, 1, "", "exclusive_maximum"),
        ({"multipleOf": 2}, 3, "", "multiple_of"),
        ({"pattern": "^a+$"}, "b", "", "pattern"),
        ({"minItems": 1}, [], "", "min_items"),
        ({"uniqueItems": True}, [1, 1], "", "unique_items"),
        ({"contains": {"type": "string"}}, [1], "", "contains"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "", "any_of"),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, 1, "", "one_of"),
        ({"not": {"type": "string"}}, "x", "", "not"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "/b", "required"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, "/b", "required"),
        ({"additionalProperties": False}, {"a": 1}, "/a", "additional_properties"),
        ({"items": {"additionalProperties": False}}, [{"a": 1}], "/0/a", "additional_properties"),
        ({"unevaluatedProperties": False}, {"a": 1}, "/a", "unevaluated_properties"),
        ({"properties": {"a": False}}, {"a": 1}, "/a", "false_schema"),
        ({"format": "date-time"}, "yesterday", "", "format"),
        ({"format": "uuid"}, "x", "", "format"),
        ({"format": "uri"}, "no uri", "", "format"),
        (False, 1, "", "false_schema"),
    ],
)
def test_codes_are_the_keywords(schema: Any, instance: Any, pointer: str, code: str) -> None:
    assert faults_of(schema, instance) == [(pointer, code)]


def test_unknown_formats_and_other_dialects_are_no_obstacle() -> None:
    assert faults_of({"format": "postcode"}, "x") == []
    assert faults_of({"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}, 1) == [("", "type")]
    assert faults_of({"$schema": "http://127.0.0.1/own"}, 1) == []


def test_the_number_of_faults_is_bounded() -> None:
    validator = compile_schema({"items": {"type": "string"}})
    assert len(validator.faults([1] * 1000)) == 100
    assert len(validator.faults([1] * 1000, limit=1000)) == 1000
    assert all(len(fault.detail) < 400 for fault in compile_schema({"type": "string"}).faults(["x" * 10_000]))


@pytest.mark.parametrize("instance", [{1: 2}, object(), "\ud800", {"a": {1, 2}}])
def test_what_is_not_json_is_a_fault(instance: Any) -> None:
    assert faults_of({"type": "null"}, instance) == [("", "not_json")]


# --- schemas ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "pointer", "code"),
    [
        ([], "", "type"),
        ("string", "", "type"),
        ({"type": "objct"}, "/type", "invalid_schema"),
        ({"properties": {"a/b": {"type": 1}}}, "/properties/a~1b/type", "invalid_schema"),
        ({"pattern": "("}, "/pattern", "invalid_schema"),
        ({"pattern": "(?=a)"}, "/pattern", "invalid_schema"),
        ({"pattern": r"(a)\1"}, "/pattern", "invalid_schema"),
        ({"pattern": "((a{1,999}){1,999}){1,999}"}, "/pattern", "invalid_schema"),
        ({"$ref": "#/$defs/none"}, "", "invalid_schema"),
        ({"$ref": "#none"}, "", "invalid_schema"),
        ({"$ref": "#/$defs/a", "$defs": {"a": 1}}, "/$defs/a", "invalid_schema"),
        ({"$ref": "#"}, "", "circular_reference"),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "", "circular_reference"),
        ({"properties": {"a": {"$ref": "#", "default": {}}}}, "", "too_complex"),
        ({"const": 10**30}, "", "not_json"),
        ({"description": "x" * MAX_SCHEMA_BYTES}, "", "too_large"),
    ],
)
def test_it_rejects_what_is_no_schema(schema: Any, pointer: str, code: str) -> None:
    with pytest.raises(SchemaError) as caught:
        compile_schema(schema)
    assert (caught.value.pointer, caught.value.code) == (pointer, code)
    assert str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1/schema"},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "other.json"},
        {"$ref": "//127.0.0.1/x"},
        {"$id": "http://127.0.0.1/", "$ref": "other"},
        {"properties": {"a": {"items": {"$ref": "http://127.0.0.1/#/x"}}}},
        {"properties": {"a": {"$id": "http://127.0.0.1/", "$ref": "#/x"}}},
        {"$dynamicRef": "http://127.0.0.1/"},
        {"$recursiveRef": "#"},
        {"dependencies": {"a": {"$ref": "http://127.0.0.1/"}}},
    ],
)
def test_it_rejects_references_to_anything_outside(schema: Any) -> None:
    with pytest.raises(SchemaError) as caught:
        compile_schema(schema)
    assert caught.value.code == "remote_reference"


def test_references_are_not_fetched_where_nothing_applies_them_either() -> None:
    # the library resolves these when it compiles: what it may fetch is refused there too
    with pytest.raises(SchemaError) as caught:
        compile_schema({"$defs": {"a": {"$ref": "http://127.0.0.1:1/"}}, "type": "string"})
    assert caught.value.code == "remote_reference"
    assert faults_of({"enum": [{"$ref": "http://127.0.0.1:1/"}]}, {"$ref": "http://127.0.0.1:1/"}) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"n": {"type": "number"}}, "items": {"$ref": "#/$defs/n"}},
        {"$defs": {"a/b": {"type": "number"}}, "items": {"$ref": "#/$defs/a~1b"}},
        {"$defs": {"n": {"$anchor": "num", "type": "number"}}, "items": {"$ref": "#num"}},
        {"$id": "http://example.com/root", "$defs": {"n": {"type": "number"}}, "items": {"$ref": "#/$defs/n"}},
        {"anyOf": [{"type": "number"}, {"type": "array", "items": {"$ref": "#"}}]},
    ],
)
def test_references_within_the_schema_are_followed(schema: Any) -> None:
    assert compile_schema(schema).faults([1, 2]) == []
    assert compile_schema(schema).faults(["x"]) != []


# --- work ---------------------------------------------------------------------------------------------------------


def laughs(levels: int) -> dict[str, Any]:
    """A schema that evaluates its last part 2^levels times."""
    parts: dict[str, Any] = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(levels)}
    return {"$defs": parts | {f"a{levels}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


def nested(depth: int) -> Any:
    instance: Any = {}
    for _ in range(depth):
        instance = {"x": instance}
    return instance


def test_a_schema_cannot_multiply_its_work_by_references() -> None:
    assert faults_of(laughs(5), "x") == [("", "type")] * 32
    with pytest.raises(SchemaError) as caught:
        compile_schema(laughs(60))
    assert caught.value.code == "too_complex"


def test_nor_by_the_depth_of_an_instance() -> None:
    twice = {"properties": {"x": {"$ref": "#"}}}
    doubling = compile_schema({"allOf": [twice, twice], "type": "object"})
    assert doubling.faults(nested(3)) == []
    assert [fault.code for fault in doubling.faults(nested(60))] == ["too_deep"]


def test_a_tree_of_any_depth_is_no_such_case() -> None:
    tree = compile_schema({"properties": {"x": {"$ref": "#"}, "y": {"$ref": "#"}}, "type": "object"})
    assert tree.faults(nested(60)) == []


def test_patterns_take_linear_time() -> None:
    begun = time.process_time()
    assert faults_of({"pattern": "^(a+)+$"}, "a" * 50_000 + "b") == [("", "pattern")]
    assert time.process_time() - begun < 5


# --- cache --------------------------------------------------------------------------------------------------------


def test_equal_schemas_are_compiled_once() -> None:
    first = compile_schema({"type": "string", "minLength": 3})
    assert compile_schema({"minLength": 3, "type": "string"}) is first
    assert compile_schema({"type": "string", "minLength": 4}) is not first


def test_a_compiled_schema_is_the_callers_no_more() -> None:
    schema: dict[str, Any] = {"type": "string", "maxLength": 7}
    validator = compile_schema(schema)
    schema["type"] = "integer"
    assert validator.faults("text") == []
    assert validator.schema == {"type": "string", "maxLength": 7}


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    kept, lost = compile_schema({"title": "kept"}), compile_schema({"title": "lost"})
    for number in range(CACHE_SIZE - 1):
        compile_schema({"title": "kept"})
        compile_schema({"title": f"other {number}"})
    assert compile_schema({"title": "kept"}) is kept
    assert compile_schema({"title": "lost"}) is not lost


def test_a_validator_serves_several_threads() -> None:
    results: list[Any] = []

    def check() -> None:
        results.extend(faults_of(PERSON, {"name": "Ada", "born": "x"}) for _ in range(50))

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[("/born", "format")]] * 200


# --- any schema, any instance -------------------------------------------------------------------------------------

SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", "integer", "null"]),
            "required": st.lists(st.sampled_from("ab"), unique=True),
            "default": JSON,
            "minimum": st.integers(-2, 2),
            "$ref": st.sampled_from(["#", "#/properties/a", "#/nowhere", "http://127.0.0.1/"]),
        },
    )
    | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "items": inner,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "additionalProperties": inner,
        },
    ),
    max_leaves=6,
)
INSTANCES = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)


@given(SCHEMAS, INSTANCES)
def test_any_schema_gives_faults_that_can_be_found_or_says_what_is_wrong_with_it(schema: Any, instance: Any) -> None:
    try:
        validator = compile_schema(schema)
    except SchemaError:
        return
    for fault in validator.faults(apply_defaults(schema, instance)):
        *path, _ = pointers.tokens(fault.pointer) or [""]
        pointers.resolve(apply_defaults(schema, instance), pointers.pointer_of(path))
        assert fault.code
