"""What an asset may be, and how large its parts."""

import re
from typing import Final

PROMPT, DATASET, SNIPPET = "prompt", "dataset", "snippet"
TYPES: Final = (PROMPT, DATASET, SNIPPET)
TEXTS: Final = frozenset({PROMPT, SNIPPET})  # kept in their rows: what a step reads of them costs no call to a store

MAX_LABEL_LENGTH: Final = 200
MAX_METADATA_BYTES: Final = 16 * 1024
MAX_TEXT_BYTES: Final = 256 * 1024  # of a prompt or a snippet, in UTF-8
MAX_JSON_BODY_BYTES: Final = 5 * 1024 * 1024  # of a body that carries the content as `content`
PIECE_BYTES: Final = 256 * 1024  # what is read, hashed and sent at a time

MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")  # RFC 6838, 4.2
MAX_MEDIA_TYPE_LENGTH: Final = 121
SHA256: Final = re.compile(r"[0-9a-f]{64}")
PLAIN, BINARY = "text/plain", "application/octet-stream"

WRITING, KEPT, CONDEMNED = "writing", "kept", "condemned"  # of a blob: models.Blob
