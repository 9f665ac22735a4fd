"""People come in with a password, stay with tokens, and leave."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from flowforge.api.permissions import ANY_CALLER
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.projects import present, selectors
from flowforge.projects.api import docs
from flowforge.projects.api.serializers import LoginBody, RefreshBody
from flowforge.projects.services import people


class TokenViewSet(ApiViewSet):
    """`/v1/auth/token…`: the body is the credential, headers aren't even looked at."""

    public = True
    authentication_classes = ()
    rate_buckets = {"obtain": "login"}
    errors = {"obtain": (401,), "refresh": (401,), "revoke": (401,)}

    @extend_schema(**docs.LOGIN)
    def obtain(self, request: Request) -> HttpResponse:
        """Log in.

        A username and a password give an access token (15 minutes) and a refresh token (7 days, one use). An unknown
        name, a wrong password and a disabled person get the same answer.
        """
        return self.ok(present.pair(people.log_in(**body(LoginBody, request))))

    @extend_schema(**docs.REFRESH)
    def refresh(self, request: Request) -> HttpResponse:
        """Exchange a refresh token for a new pair.

        Each refresh token works once. One that is sent again is taken as stolen: the whole login ends.
        """
        given = body(RefreshBody, request)
        return self.ok(present.pair(people.refresh(refresh_token=given["refresh"])))

    @extend_schema(**docs.REVOKE)
    def revoke(self, request: Request) -> HttpResponse:
        """Log out.

        The login that the refresh token belongs to ends, its access tokens too, everywhere within a second.
        """
        people.log_out(refresh_token=body(RefreshBody, request)["refresh"])
        return self.no_content()


class MeViewSet(ApiViewSet):
    scopes = {"retrieve": ANY_CALLER}

    @extend_schema(**docs.ME)
    def retrieve(self, request: Request) -> HttpResponse:
        """Tell who I am.

        Whom the credential belongs to, and what it may do in which project.
        """
        found = present.standing(selectors.standing_of(self.caller))
        return self.ok(found, etag_of=found)
