"""Bodies of an import: YAML, and files uploaded by a form."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser, MultiPartParser

from flowforge.api.parsers import StrictJSONParser
from flowforge.core import json
from flowforge.core.errors import Fault, InvalidBody, MalformedRequest
from flowforge.core.json import Json, JsonError
from workflows.services import yaml_text


class YamlParser(BaseParser):
    """`application/yaml` (RFC 9512), as strict as our JSON. Raises MalformedRequest (400)."""

    media_type = "application/yaml"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Json:
        return read_yaml(stream.read())


class TextYamlParser(YamlParser):
    """A name that was used before RFC 9512."""

    media_type = "text/yaml"


class OldYamlParser(YamlParser):
    """Another."""

    media_type = "application/x-yaml"


IMPORT_PARSERS = (StrictJSONParser, YamlParser, TextYamlParser, OldYamlParser, MultiPartParser)


def read_yaml(raw: bytes) -> Json:
    """Raises MalformedRequest (400)."""
    if not raw.strip():
        raise MalformedRequest(detail="The body is empty; YAML is expected.")
    try:
        return yaml_text.load(raw)
    except JsonError as error:
        raise MalformedRequest(detail=f"The body isn't acceptable YAML: {error}.") from error


def uploaded(data: Any) -> Json:
    """The content of the form's one field, `file`: JSON by its name or type, else YAML (which most JSON is, too)."""
    unknown = [name for name in data if name != "file"]
    if unknown:
        raise InvalidBody(faults=[Fault(pointer=f"/{unknown[0]}", code="unknown_field", detail="Only `file`.")])
    files = data.getlist("file")
    if len(files) != 1 or not hasattr(files[0], "read"):
        raise InvalidBody(faults=[Fault(pointer="/file", code="required", detail="Upload one file as `file`.")])
    file = files[0]
    raw = file.read()
    if not (file.content_type == "application/json" or file.name.lower().endswith(".json")):
        return read_yaml(raw)
    try:
        return json.loads(raw)
    except JsonError as error:
        raise MalformedRequest(detail=f"The file isn't acceptable JSON: {error}.") from error
