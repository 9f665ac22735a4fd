"""What this process cannot do, in words for the author of the step."""

import re
from collections.abc import Mapping
from typing import Any, Final

_MAX_MESSAGE: Final = 500
_MAX_NAMES: Final = 10
_XGBOOST_PLACE: Final = re.compile(r"^\[[\d:]+\] \S+: ")  # [12:00:00] /src/objective/regression_obj.cu:30: …


class Refused(Exception):
    """The step fails with this, and another attempt cannot help."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = details


class InvalidData(Refused):
    """The dataset is not what the step needs."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__("invalid_data", message, **details)


class InvalidModel(Refused):
    """The file is no model of ours, or no longer."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid_model", message)


def said_by(error: BaseException) -> str:
    """The part of a library's message that is for people: no traceback, no place in its source."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return _XGBOOST_PLACE.sub("", lines[0])[:_MAX_MESSAGE] if lines else type(error).__name__


def named(names: list[str]) -> str:
    """`a, b, c and 4 more`."""
    rest = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")
