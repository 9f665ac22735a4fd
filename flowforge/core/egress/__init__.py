"""The one client for every outgoing call: http and https to checked addresses, within a deadline, bounded, cancellable.

`egress(allow).send(Outgoing(method="GET", url="https://…"), cancel)` gives an Answer or raises an EgressError;
`stream` gives it as it comes.
"""

from flowforge.core.egress.addresses import AddressPolicy
from flowforge.core.egress.client import Answer, Egress, Outgoing, Streamed, checked_url, egress, host_and_port
from flowforge.core.egress.errors import (
    ConnectionFailed,
    EgressCancelled,
    EgressError,
    EgressRefused,
    EgressTimeout,
    InvalidRequest,
    ResponseTooLarge,
)

__all__ = [
    "AddressPolicy",
    "Answer",
    "ConnectionFailed",
    "Egress",
    "EgressCancelled",
    "EgressError",
    "EgressRefused",
    "EgressTimeout",
    "InvalidRequest",
    "Outgoing",
    "ResponseTooLarge",
    "Streamed",
    "checked_url",
    "egress",
    "host_and_port",
]
