"""What can go wrong between a step and the data that it reads or writes."""

import contextlib
from collections.abc import Iterator, Mapping

from flowforge.core.egress import EgressCancelled, EgressError
from flowforge.core.json import Json
from flowforge.steps.assets import NotAvailable
from flowforge.steps.base import Context, Failed, StepCancelled


class DataFailure(Exception):
    """The step fails with this. The message names no secret: no query, user name or password of a URL."""

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, details: Mapping[str, Json] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code  # docs/etl.md lists them
        self.message = message
        self.retryable = retryable
        self.details = details or {}

    def failed(self) -> Failed:
        return Failed(code=self.code, message=self.message, retryable=self.retryable, details=self.details)


@contextlib.contextmanager
def translated(context: Context) -> Iterator[None]:
    """What the guarded client and the project's assets raise, as a DataFailure or StepCancelled."""
    try:
        yield
    except EgressCancelled:
        raise StepCancelled(context.cancel.reason) from None
    except EgressError as error:
        raise DataFailure(error.code, str(error), retryable=error.retryable) from None
    except NotAvailable as error:
        raise DataFailure("asset_unavailable", str(error), retryable=error.retryable) from None
