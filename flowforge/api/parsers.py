"""Bodies in: JSON alone, and strictly (flowforge.core.json.loads)."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from flowforge.core import json
from flowforge.core.errors import MalformedRequest
from flowforge.core.json import Json, JsonError

_UTF8 = frozenset(("utf-8", "utf8", "us-ascii"))


class StrictJSONParser(BaseParser):
    """`application/json` in UTF-8. Raises MalformedRequest (400), for another charset too."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Json:
        _check_charset(media_type or "")
        raw = stream.read()
        if not raw.strip():
            raise MalformedRequest(detail="The body is empty; JSON is expected.")
        try:
            return json.loads(raw)
        except JsonError as error:
            raise MalformedRequest(detail=f"The body isn't acceptable JSON: {error}.") from error


def _check_charset(media_type: str) -> None:
    _, _, parameters = media_type.partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _UTF8:
            raise MalformedRequest(detail="JSON is read as UTF-8 only.")
