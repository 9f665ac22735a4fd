"""What templates need to know of the workflows above them: the provider is named in settings."""

import uuid
from collections.abc import Callable
from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string


def users_count(template_id: uuid.UUID) -> int:
    """How many workflows that are not archived use a template in their current version."""
    return _provider()(template_id)


@cache
def _provider() -> Callable[[uuid.UUID], int]:
    return cast(Callable[[uuid.UUID], int], import_string(settings.TEMPLATE_USERS))
