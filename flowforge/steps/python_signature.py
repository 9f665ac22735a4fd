"""What `main` of a `python` step takes, read from its signature: never by running it.

    def main(day: date, rows: list[dict], most: int = 10, mode: Literal["a", "b"] | None = None): …

is a JSON Schema of the inputs. What an annotation says that is not understood (a class of the code's own, say) admits
anything, so that nothing is refused that Python would take.
"""

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.core.jsonschema import SchemaError, compile_schema
from flowforge.steps.lenient import lenient

Main = ast.FunctionDef | ast.AsyncFunctionDef
Schema = Mapping[str, Any]
MAIN: Final = "main"

_ANYTHING: Final[Schema] = {}
_NULL: Final[Schema] = {"type": "null"}
_PLAIN: Final[Mapping[str, Schema]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "None": _NULL,
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    **{name: {"type": "array"} for name in ("list", "List", "Sequence", "Iterable", "Collection")},
    **{name: {"type": "object"} for name in ("dict", "Dict", "Mapping", "MutableMapping")},
}
_MAX_DIGITS: Final = 18  # of a text that is taken for an integer


def inputs_schema(tree: ast.Module) -> Schema | None:
    """JSON Schema of the inputs as an object; None where the code has to run to tell."""
    try:
        main = _main_of(tree)
        schema = None if main is None else schema_of(main)
        if schema is not None:
            compile_schema(lenient(schema))  # the deeper of the two
    except (SchemaError, RecursionError):
        return None  # an annotation without measure
    return schema


def _main_of(tree: ast.Module) -> Main | None:
    """The function that will be called, if nothing but a `def` at the top level makes it, without a decorator."""
    found: Main | None = None
    for statement in tree.body:
        if isinstance(statement, Main) and statement.name == MAIN:
            found = None if statement.decorator_list else statement
        elif not isinstance(statement, Main | ast.ClassDef) and any(map(_binds_main, ast.walk(statement))):
            found = None
    return found


def _binds_main(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id == MAIN and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.alias):
        return (node.asname or node.name) == MAIN
    return isinstance(node, Main) and node.name == MAIN


def schema_of(main: Main) -> dict[str, Any]:
    """JSON Schema of the inputs as an object."""
    arguments = main.args
    positional = arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(positional, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    others = arguments.kwarg
    return {
        "type": "object",
        "properties": {argument.arg: _with_default(_schema(argument.annotation), value) for argument, value in pairs},
        "required": [argument.arg for argument, value in pairs if value is None],
        "additionalProperties": dict(_schema(others.annotation)) if others else False,
    }


def faults_of_inputs(schema: Schema, inputs: Json) -> list[Fault]:
    """Of inputs as they are written, texts with expressions aside; pointers are relative to the config."""
    if not isinstance(inputs, Mapping):
        return []  # an expression: what it gives is looked at when the step begins
    found = compile_schema(lenient(schema)).faults(coerced(inputs, schema))
    return [fault.under("/inputs") for fault in found]


def coerced(value: Json, schema: Schema) -> Json:
    """Texts that are written numbers or booleans where these are wanted, as forms and query strings bring them."""
    if "anyOf" in schema:
        return _coerced_to_any(value, schema["anyOf"])
    kind = schema.get("type")
    if isinstance(value, Mapping) and kind == "object":
        others = schema.get("additionalProperties")
        parts = schema.get("properties", {})
        return {name: coerced(item, parts.get(name, _schema_or_any(others))) for name, item in value.items()}
    if isinstance(value, list) and kind == "array":
        return [coerced(item, schema.get("items", _ANYTHING)) for item in value]
    if isinstance(value, float) and kind == "integer" and value.is_integer():
        return int(value)
    return _read(value, kind) if isinstance(value, str) else value


def _coerced_to_any(value: Json, options: Sequence[Schema]) -> Json:
    """As it is, if any option takes it so; else as the first that takes it."""
    found = (value, *(coerced(value, option) for option in options))
    for candidate in found:
        if not compile_schema({"anyOf": list(options)}).faults(candidate, limit=1):
            return candidate
    return value


def _read(text: str, kind: str | None) -> Json:
    plain = text.strip()
    if kind == "boolean" and plain.lower() in ("true", "false"):
        return plain.lower() == "true"
    if kind == "integer" and plain.lstrip("+-").isdecimal() and plain.isascii() and len(plain) <= _MAX_DIGITS:
        return int(plain) if plain.count("-") + plain.count("+") <= 1 else text
    if kind == "number":
        try:
            number = float(plain)
        except ValueError:
            return text
        return number if math.isfinite(number) else text
    return text


def _schema_or_any(schema: object) -> Schema:
    return schema if isinstance(schema, Mapping) else _ANYTHING


def _with_default(schema: Schema, default: ast.expr | None) -> dict[str, Any]:
    """`x: int = None` takes null, whatever it says."""
    if isinstance(default, ast.Constant) and default.value is None and schema:
        return {"anyOf": [dict(schema), dict(_NULL)]}
    return dict(schema)


def _schema(annotation: ast.expr | None) -> Schema:
    if isinstance(annotation, ast.Constant):
        return _of_constant(annotation.value)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _any_of([annotation.left, annotation.right])
    if isinstance(annotation, ast.Subscript):
        return _of_subscript(_name(annotation.value), annotation.slice)
    return _PLAIN.get(_name(annotation), _ANYTHING)


def _of_constant(value: object) -> Schema:
    """`None`, or an annotation in quotes."""
    if value is None:
        return _NULL
    try:
        return _schema(ast.parse(value, mode="eval").body) if isinstance(value, str) else _ANYTHING
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _ANYTHING


def _of_subscript(name: str, inner: ast.expr) -> Schema:
    arguments = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name == "Optional":
        return _any_of([inner, ast.Constant(None)])
    if name == "Union":
        return _any_of(arguments)
    if name == "Annotated":
        return _schema(arguments[0])
    if name == "Literal":
        return _literal(arguments)
    whole = _PLAIN.get(name, _ANYTHING)
    if whole.get("type") == "array":
        return {**whole, "items": dict(_schema(arguments[0]))}
    if whole.get("type") == "object" and len(arguments) == 2:
        return {**whole, "additionalProperties": dict(_schema(arguments[1]))}
    return whole


def _any_of(parts: Sequence[ast.expr]) -> Schema:
    found = [dict(_schema(part)) for part in parts]
    return {"anyOf": found} if all(found) else _ANYTHING


def _literal(parts: Sequence[ast.expr]) -> Schema:
    try:
        values = [ast.literal_eval(part) for part in parts]
    except (ValueError, TypeError):
        return _ANYTHING
    known = all(value is None or isinstance(value, str | int) for value in values)
    return {"enum": values} if known else _ANYTHING


def _name(annotation: ast.expr | None) -> str:
    """`datetime` of `datetime.datetime`, too."""
    if isinstance(annotation, ast.Name):
        return annotation.id
    return annotation.attr if isinstance(annotation, ast.Attribute) else ""
