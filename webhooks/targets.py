"""Whether an address may be posted to: asked when it is saved, and by the guard at every connection."""

from django.conf import settings

from flowforge.core.egress import EgressError, egress
from flowforge.core.errors import Fault, InvalidBody


def check_target(url: str) -> None:
    """Raises InvalidBody (422). Its name is resolved: not within a transaction."""
    try:
        egress(settings.ALLOW_PRIVATE_TARGETS).check(url)
    except EgressError as error:
        raise InvalidBody(faults=[Fault(pointer="/url", code=error.code, detail=error.detail)]) from None
