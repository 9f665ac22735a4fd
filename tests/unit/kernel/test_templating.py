"""Parameters in a template's config: what comes of it means what the template meant."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kernel.expressions import ExpressionError, compile_template
from flowforge.kernel.expressions.substitution import Substituter
from flowforge.kernel.templating import fill, texts

SCOPE: dict[str, Any] = {"inputs": {"day": "2026-01-31", "count": 5, "note": None}, "steps": {}}
VALUES: dict[str, Any] = {
    "day": "{{ inputs.day }}",
    "path": "orders/{{ inputs.day }} {",
    "limit": 5,
    "below": -0.5,
    "nothing": None,
    "empty": "",
    "quoted": 'a "b" \\ \n {{ inputs.note }}',
    "tree": {"a": "{{ inputs.count }}", "b": [1, True, None, "{{ inputs.day }}!"], "odd key": {"c": 1}},
}


def put(text: str, **values: Any) -> Any:
    return Substituter().put(values, text)


def rendered(text: str, values: dict[str, Any]) -> Any:
    """What the text gives in a run whose parameters are these."""
    parameters = compile_template(values).render(SCOPE)
    return compile_template(text).render({**SCOPE, "parameters": parameters})


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ parameters.x }}", 5),
        (" {{ parameters['x'] }}\n", 5),
        ("n={{ parameters.x }}", "n=5"),
        ("{{ parameters.day }}", "{{ inputs.day }}"),
        ("a/{{ parameters.day }}?n={{ parameters.x }}", "a/{{ inputs.day }}?n=5"),
        ("{{ parameters.tree.b[1] }}", True),
        ("{{ parameters.none }}-{{ parameters.tree }}", '-{"b":[1,true]}'),
        ("{{ inputs.a }} {{ steps.b.output }}", "{{ inputs.a }} {{ steps.b.output }}"),
        ("no expression", "no expression"),
        ("{{ parameters.x + inputs.n }}", "{{ (5) + inputs.n }}"),
    ],
)
def test_it_works(text: str, made: Any) -> None:
    assert put(text, x=5, day="{{ inputs.day }}", tree={"b": [1, True]}, none=None) == made


TEXTS = [
    *(f"{{{{ parameters.{name} }}}}" for name in VALUES),
    *(f"a {{{{ parameters.{name} }}}} b" for name in VALUES),
    *(f"{{{{ parameters.{name} }}}}{{{{ parameters.empty }}}}" for name in VALUES),
    *(f"{{{{ [parameters.{name}] | tojson }}}}" for name in VALUES),
    "{{ parameters }}",
    "{ {{ parameters.path }}{{ parameters.path }}",
    "{{ parameters.path }}{{ parameters.day }}",
    "{{ parameters.tree.a + 1 }}",
    "{{ parameters.tree['odd key'].c ** parameters.limit }}",
    "{{ 2 ** parameters.below }}",
    "{{ parameters.limit - parameters.below }}",
    "{{ parameters[inputs.day] | default(parameters.day) }}",
    "{{ parameters.missing | default('none') }}",
    "{{ parameters.limit.deep | default('none') }}",
    "{{ parameters.missing is defined }}",
    "{{ 'parameters.day' ~ parameters.day }}",
    "{{ parameters.day if parameters.limit > 3 else parameters.path }}",
    "{{ parameters.quoted | length }}",
    "{{ parameters . day | upper }}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_comes_out_means_what_went_in(text: str) -> None:
    assert compile_template(Substituter().put(VALUES, text)).render(SCOPE) == rendered(text, VALUES)


plain = st.text(st.sampled_from("ab {}\"'\\\n%~|é😀"), max_size=8).filter(lambda text: "{{" not in text)
leaves = st.one_of(
    plain,
    st.integers(-9, 9),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.none(),
    st.booleans(),
    st.sampled_from(["{{ inputs.day }}", " {{ inputs.count }} ", "x{{ inputs.note }}y", "{{ inputs.count }}{{ 1 }}"]),
)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3))
pieces = st.sampled_from(
    [
        "{{ parameters.a }}",
        "{{ parameters.b }}",
        "{{ parameters.a ~ parameters.b }}",
        "{{ [parameters.a, parameters] | tojson }}",
        "{{ parameters.a.b | default(parameters.b) }}",
        "{{ inputs.count }}",
        "{{ parameters.c | default(1) }}",
    ]
)


@given(st.lists(pieces | plain.filter(lambda text: "{" not in text), max_size=4).map("".join), values, values)
def test_every_text_means_the_same_with_every_value(text: str, a: Any, b: Any) -> None:
    parameters = {"a": a, "b": b}
    made = Substituter().put(parameters, text)
    assert compile_template(made).render(SCOPE) == rendered(text, parameters)


def test_what_a_value_says_is_no_code_of_the_template() -> None:
    evil = '") ~ credentials.other.token ~ ("'
    made = put("{{ parameters.x ~ inputs.day }}", x=evil)
    assert {reference.root for reference in compile_template(made).references} == {"inputs"}
    assert compile_template(made).render(SCOPE) == evil + "2026-01-31"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{{ parameters.missing }}", "expression_undefined"),
        ("a {{ parameters.x.y }}", "expression_undefined"),
        ("{{ parameters. }}", "expression_syntax"),
        ("{{ parameters.x", "expression_syntax"),
    ],
)
def test_it_rejects_what_is_not_there_or_no_expression(text: str, code: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        put(text, x=1)
    assert caught.value.code == code


def test_it_rejects_what_grows_without_bound() -> None:
    substituter = Substituter(room=10_000)
    with pytest.raises(ExpressionError, match="larger"):
        substituter.put({"x": "a" * 1000}, "{{ parameters.x }}" * 100)
    with pytest.raises(ExpressionError, match="larger"):
        Substituter(room=10_000).put({"x": "a" * 1000}, "{{ " + "parameters.x ~ " * 100 + "1 }}")


def test_texts_know_which_parameters_they_read() -> None:
    substituter = Substituter()
    assert substituter.reads("{{ parameters.a }} {{ parameters['b'].c + inputs.d }}") == {"a", "b"}
    assert substituter.reads("{{ inputs.a }}") == frozenset()
    assert substituter.reads("{{ parameters[inputs.a] }}") is None
    assert substituter.reads("{{ parameters.a ~ parameters }}") is None


# --- configs ------------------------------------------------------------------------------------------------------


def test_a_whole_config_is_filled() -> None:
    config = {"url": "https://x/{{ parameters.day }}", "json": {"a/b": ["{{ parameters.n }}", 1]}, "method": "GET"}
    found = fill("http", config, {"day": "{{ inputs.day }}", "n": 5})
    assert found.config == {"url": "https://x/{{ inputs.day }}", "json": {"a/b": [5, 1]}, "method": "GET"}
    assert found.origins == {"/url": {"day"}, "/json/a~1b/0": {"n"}}
    assert found.errors == {}


def test_conditions_without_braces_are_filled_where_they_are_evaluated_later() -> None:
    wait = {"event": "paid", "match": "payload.id == parameters.id"}
    assert fill("wait_event", wait, {"id": "4"}).config["match"] == '{{ payload.id == "4" }}'
    config = {"items": "{{ parameters.rows }}", "step": {"type": "wait_event", "config": wait}}
    found = fill("map", config, {"id": "{{ item.id }}", "rows": [1]})
    assert found.config["items"] == [1]
    assert found.config["step"]["config"]["match"] == "{{ payload.id == ( item.id ) }}"
    assert list(texts("wait_event", wait)) == [("/match", "{{ payload.id == parameters.id }}")]
    untouched = {"event": "paid", "match": "payload.id == 4"}
    assert fill("wait_event", untouched, {}).config == untouched


def test_it_rejects_a_config_that_is_too_deep_with_its_parameters() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    shell: Any = "{{ parameters.deep }}"
    for _ in range(40):
        shell = {"a": shell}
    assert fill("http", {"json": shell}, {"deep": deep}).errors[""].code == "expression_budget"
    assert fill("http", {"json": shell}, {"deep": 1}).errors == {}
