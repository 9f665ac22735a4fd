"""Expressions that were written to get out: none reaches a Python attribute, a function or the host."""

from typing import Any

import pytest

from flowforge.kernel.expressions import ExpressionError, compile_expression, compile_template

SCOPE: dict[str, Any] = {
    "inputs": {"a": "x", "n": 1, "list": [1], "evil": "{{ 7 * 7 }}"},
    "run": {"id": "r"},
    "steps": {},
}

REFUSED = """
''.__class__
''.__class__.__mro__[1].__subclasses__()
().__class__.__mro__
[].__class__.__base__
{}.__class__
''['__class__']
''['__cla' ~ 'ss__']
inputs.__class__
inputs['__class__']
inputs.__init__.__globals__
inputs.list.append
inputs.a.format
inputs.keys
inputs.items()
inputs.get('a')
run.__dict__
1 .__class__
true.__class__
none.__class__
inputs|attr('__class__')
inputs.a|attr('form' ~ 'at')
inputs.a|attr('__class__')|attr('__mro__')
'{0.__class__}'.format(inputs)
'{0.__class__}' % inputs
'%s' % inputs
'{0.__class__}'|format(inputs)
'%(a)s'|format(a=1)
self
self.__init__
self._TemplateReference__context
cycler
cycler.__init__.__globals__.os.popen('id').read()
cycler('a', 'b')
joiner
joiner.__init__.__globals__
namespace
namespace(a=1)
lipsum
lipsum()
lipsum.__globals__['os'].popen('id').read()
range(10)
dict(a=1)
url_for.__globals__
get_flashed_messages.__globals__
config.items()
request.application.__globals__
settings.SECRET_KEY
_.__class__
loop.index
caller()
varargs
kwargs
super()
import('os')
__import__('os')
open('/etc/passwd').read()
eval('1')
(lambda: 1)()
[x for x in inputs.list]
inputs.a|map('attr', '__class__')
inputs.list|map(attribute='__class__')
inputs.list|map(attribute='real')
inputs.list|map('__class__')
inputs.list|groupby('__class__')
inputs.list|sum(attribute='__class__')
inputs.list|sort(attribute='__class__.__name__')
inputs.list|selectattr('__class__.__name__', 'eq', 'int')
inputs.list|first|attr('x')
inputs.a|pprint
inputs.a|xmlattr
inputs.a|safe
inputs.a|e
inputs.a|filesizeformat
inputs.a|random
inputs.a is filter
inputs.a is callable
inputs.a is sameas(inputs.a)
now|date(timezone='/etc/passwd')
{% for x in inputs.list %}{{ x }}{% endfor %}
{% set x = 1 %}
{% include '/etc/passwd' %}
{# comment #}
`id`
$(id)
inputs.a; import os
a := 1
__builtins__
globals()
inputs.a.__class__ ~ ''
'' ~ inputs.a.upper
inputs.n.real
inputs.n.bit_length()
""".strip().splitlines()


@pytest.mark.parametrize("text", ["inputs.a", "'__class__'", "{'__class__': 1}.__class__"])
def test_it_works(text: str) -> None:
    """Names that look dangerous are keys like all others."""
    assert compile_expression(text).evaluate(SCOPE) in ("x", "__class__", 1)


@pytest.mark.parametrize("payload", REFUSED)
def test_it_rejects_what_wants_out(payload: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(payload).evaluate(SCOPE)
    assert caught.value.code in ("expression_syntax", "expression_error", "expression_undefined")
    assert "object at 0x" not in caught.value.message
    assert "<class" not in caught.value.message


@pytest.mark.parametrize("payload", REFUSED)
def test_the_same_in_braces_gives_an_error_or_its_own_text(payload: str) -> None:
    template = f"{{{{ {payload} }}}}" if "{{" not in payload else payload
    with pytest.raises(ExpressionError):
        compile_template({"a": [template]}).render(SCOPE)


@pytest.mark.parametrize(
    "payload",
    [
        "{{ 7 * 7 }}",
        "{% raw %}",
        "${{ env.X }}",
        "#{7*7}",
        "$(id)",
        "`id`",
        "'; DROP TABLE runs; --",
        "<script>",
        "%s%n",
        "{0}",
    ],
)
def test_data_stays_literal(payload: str) -> None:
    """What comes in as data is neither rendered nor escaped, whichever way it goes through."""
    scope = {"inputs": {"a": payload, "list": [payload], "object": {payload: payload}}}
    assert compile_template("{{ inputs.a }}").render(scope) == payload
    assert compile_template("> {{ inputs.a }}").render(scope) == f"> {payload}"
    assert compile_template("{{ inputs.a ~ '' }}{{ '' }}").render(scope) == payload
    assert compile_template("{{ inputs.list | join }}").render(scope) == payload
    assert compile_template("{{ inputs.object | items | flatten }}").render(scope) == [payload, payload]
    assert compile_template("{{ inputs.object | tojson | fromjson }}").render(scope) == {payload: payload}


@pytest.mark.parametrize("name", ["budget", "value", "_budget", "self", "function"])
def test_no_keyword_reaches_what_filters_are_called_with(name: str) -> None:
    for text in (f"'a' | upper({name}=1)", f"['a'] | map('upper', {name}=1)", f"1 is eq({name}=1)"):
        with pytest.raises(ExpressionError):
            compile_expression(text).evaluate(SCOPE)
