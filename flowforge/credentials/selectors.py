"""Reading credentials; what is sealed in them: services.opening."""

import uuid
from collections.abc import Iterable, Mapping

from flowforge.api.caller import Caller
from flowforge.credentials.models import Credential
from flowforge.projects.scoping import get_visible

READ = "credentials:read"


def get_credential(caller: Caller, credential_id: uuid.UUID | str, scope: str = READ) -> Credential:
    """Raises NotFound (404) where the caller cannot see it, PermissionMissing (403)."""
    return get_visible(Credential.objects.all(), caller, credential_id, scope)


def hosts_by_name(project_id: uuid.UUID, names: Iterable[str]) -> Mapping[str, list[str]]:
    """Name -> host patterns, of those that the project has."""
    found = Credential.objects.filter(project_id=project_id, name__in=set(names)).order_by()
    return dict(found.values_list("name", "hosts"))
