"""Deny by default: an action needs its scope, and an action that forgot to name one is refused to everybody."""

from typing import TYPE_CHECKING, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from flowforge.core.errors import PermissionMissing

if TYPE_CHECKING:
    from flowforge.api.views import ApiViewSet

ANY_CALLER: Final = ""  # as a scope: whoever has valid credentials


class ScopePermission(BasePermission):
    """Does the caller hold the action's scope in any project? Which one, selectors and `caller.require` decide."""

    def has_permission(self, request: Request, view: "ApiViewSet") -> bool:  # type: ignore[override]  # APIView there
        if view.public:
            return True
        caller = view.caller
        scope = view.scopes.get(view.action)
        if scope is None:
            raise PermissionMissing(detail="Nobody may call this: it names no scope.")
        if scope != ANY_CALLER and not caller.can_anywhere(scope):
            raise PermissionMissing(detail=f"This needs the scope {scope}.")
        return True
