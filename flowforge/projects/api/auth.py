"""People come in with a password, stay with tokens, and leave."""

from django.http import HttpResponse
from rest_framework.request import Request

from flowforge.api.permissions import ANY_CALLER
from flowforge.api.serializers import body
from flowforge.api.views import ApiViewSet
from flowforge.projects import present, selectors
from flowforge.projects.api.serializers import Credentials, RefreshToken
from flowforge.projects.services import people


class TokenViewSet(ApiViewSet):
    """`/v1/auth/token…`: what is in the body counts, headers don't."""

    public = True
    authentication_classes = ()
    rate_buckets = {"obtain": "login"}

    def obtain(self, request: Request) -> HttpResponse:
        """Log in: a username and a password give an access and a refresh token."""
        return self.ok(present.pair(people.log_in(**body(Credentials, request))))

    def refresh(self, request: Request) -> HttpResponse:
        """Exchange a refresh token, once, for a new pair."""
        given = body(RefreshToken, request)
        return self.ok(present.pair(people.refresh(refresh_token=given["refresh"])))

    def revoke(self, request: Request) -> HttpResponse:
        """Log out: the login that the refresh token belongs to ends, its access tokens too."""
        people.log_out(refresh_token=body(RefreshToken, request)["refresh"])
        return self.no_content()


class MeViewSet(ApiViewSet):
    scopes = {"retrieve": ANY_CALLER}

    def retrieve(self, request: Request) -> HttpResponse:
        """Who the credential belongs to, and what it may do in which project."""
        found = present.standing(selectors.standing_of(self.caller))
        return self.ok(found, etag_of=found)
