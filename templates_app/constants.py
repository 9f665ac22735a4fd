"""Limits that several modules of this app share."""

from typing import Final

MAX_NAME_LENGTH: Final = 200
MAX_DESCRIPTION_LENGTH: Final = 20_000
MAX_STEP_TYPE_LENGTH: Final = 100
MAX_CONFIG_BYTES: Final = 256 * 1024  # as much as its schema may have
CONTENT_FIELDS: Final = ("step_type", "config", "parameters", "retry", "timeout")  # what a version holds
