"""What a credential may be called, and what each type holds."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
MAX_NAME_LENGTH: Final = 64
MAX_VALUE_LENGTH: Final = 16_384  # of one field: a private key fits
MAX_HOSTS: Final = 100

TOKEN, BASIC, HEADER = "token", "basic", "header"
OAUTH2, AWS, DATABASE = "oauth2_client", "aws", "database"


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a type's `data`."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        return self.required + self.optional


SHAPES: Final = MappingProxyType(
    {
        TOKEN: Shape(("token",)),
        BASIC: Shape(("username", "password")),
        HEADER: Shape(("name", "value")),
        OAUTH2: Shape(("client_id", "client_secret", "token_url"), ("scope", "audience")),
        AWS: Shape(("access_key_id", "secret_access_key"), ("session_token", "region", "endpoint_url")),
        DATABASE: Shape((), ("url", "username", "password", "host", "port", "database")),
    }
)
TYPES: Final = tuple(SHAPES)

# fields that are no secret: masking `eu-central-1` or `admin` wherever they stand would spoil what people read
PUBLIC_FIELDS: Final = frozenset(
    {
        *("username", "name", "client_id", "token_url", "scope", "audience"),
        *("region", "endpoint_url", "host", "port", "database"),
    }
)
RING: Final = "credentials"  # the purpose of their keys: flowforge.core.crypto
