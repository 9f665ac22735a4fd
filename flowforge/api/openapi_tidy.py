"""What the generator of the OpenAPI document leaves untidy: fine to look at, refused by programs that read it."""

from typing import Any, Final

from flowforge.core.json import Json

_NULL: Final = {"type": "null"}


def tidied(node: Json) -> Json:
    """The same document without types named twice and without alternatives beside "anything".

    A nullable field whose schema says `null` already gets it twice, which JSON Schema 2020-12 forbids; one whose
    schema is empty becomes `oneOf: [{}, null]`, of which null fits both and therefore none.
    """
    if isinstance(node, list):
        return [tidied(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    found: dict[str, Any] = {name: tidied(inner) for name, inner in node.items()}
    if isinstance(found.get("type"), list):
        found["type"] = list(dict.fromkeys(found["type"]))
    if found.get("oneOf") in ([{}, _NULL], [_NULL, {}]):
        del found["oneOf"]
    return found
