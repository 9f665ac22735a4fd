"""How a credential looks in an answer: all but what it is for."""

from flowforge.api.http import tag_in_two
from flowforge.core.clock import isoformat
from flowforge.core.json import Json
from flowforge.credentials.models import Credential


def credential(row: Credential) -> dict[str, Json]:
    return {
        "id": str(row.pk),
        "project_id": str(row.project_id),
        "name": row.name,
        "type": row.type,
        "hosts": row.hosts,
        "expires_at": isoformat(row.expires_at),
        "last_used_at": isoformat(row.last_used_at),
        "created_at": isoformat(row.created_at),
        "updated_at": isoformat(row.updated_at),
    }


def tag_of(row: Credential) -> str:
    """A strong entity tag of what people edit and of when it was used."""
    return tag_in_two(edited(row), isoformat(row.last_used_at))


def edited(row: Credential) -> dict[str, Json]:
    """What people change of it: using it makes no If-Match stale."""
    return {name: value for name, value in credential(row).items() if name != "last_used_at"}
