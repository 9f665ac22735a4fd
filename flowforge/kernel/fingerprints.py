"""Which failures are alike: those of one workflow, node and code whose messages differ in particulars alone."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_READ: Final = 2_000  # characters of a message that count
MAX_KEPT: Final = 500  # characters of a normalised message
MAX_CODE: Final = 100  # characters of an error's code

# What varies from one failure to the next. Each pattern reads a text once: none can be made to look back for long.
_PARTICULARS: Final = (
    (re.compile(r'"[^"\n]*"|`[^`\n]*`|“[^”\n]*”|«[^»\n]*»'), "<text>"),
    (re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|‘[^’\n]*’"), "<text>"),  # an apostrophe is no quotation mark
    (re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s<>\"')\]]+", re.IGNORECASE), "<url>"),
    (re.compile(r"\b[A-Za-z]:\\[^\s:,;<>]+"), "<path>"),
    (re.compile(r"(?<![\w<])(?:~|\.{1,2})?(?:/[^\s/:,;<>()\[\]]+)+/?"), "<path>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b\d+(?:\.\d+)?(?=(?:ms|s|m|h|d|kb|mb|gb|[kmg]ib|b|%)\b)", re.IGNORECASE), "<n>"),  # 1.5s, 20MB
    (re.compile(r"(?<!\w)[+-]?\d+(?:[.,:]\d+)*(?!\w)"), "<n>"),
    (re.compile(r"\b\w*\d\w*\b"), "<id>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What failures of one group have in common."""

    id: uuid.UUID  # of these four alone: the same wherever and whenever it is worked out
    workflow_id: uuid.UUID
    node_id: str  # "" where no step is to blame
    code: str
    message: str  # normalised: `row <n> of <path> is no <text>`


def fingerprint_of(workflow_id: uuid.UUID, error: Mapping[str, Any]) -> Fingerprint:
    """The fingerprint of a run's error `{code, message, step?, details?}`.

    Of a run whose step failed (`step_failed`), the step's own error, which is in `details`, counts.
    """
    details = error.get("details")
    cause = details if error["code"] == "step_failed" and isinstance(details, Mapping) and "code" in details else error
    node_id, code = str(error.get("step") or ""), str(cause["code"])[:MAX_CODE]
    message = normalised(str(cause.get("message", "")))
    return Fingerprint(
        id=_id_of(workflow_id, node_id, code, message),
        workflow_id=workflow_id,
        node_id=node_id,
        code=code,
        message=message,
    )


def normalised(message: str) -> str:
    """A message without its particulars: quoted texts, addresses, paths, ids and numbers give way to their kind."""
    text = message[:MAX_READ]
    for pattern, kind in _PARTICULARS:
        text = pattern.sub(kind, text)
    return text.strip()[:MAX_KEPT]


def _id_of(workflow_id: uuid.UUID, *parts: str) -> uuid.UUID:
    """A UUIDv8 (RFC 9562, 5.8): 122 bits of BLAKE2b."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16, key=workflow_id.bytes).digest()
    number = int.from_bytes(digest, "big")
    number = number & ~(0xF << 76) | (0x8 << 76)
    return uuid.UUID(int=number & ~(0b11 << 62) | (0b10 << 62))
