"""How an `http` step proves itself with a credential: the header that each type stands for, and where it may go."""

import base64
from typing import Final

from flowforge.core.egress import checked_url, host_and_port
from flowforge.steps.base import Context, Credential, CredentialRefused
from flowforge.steps.oauth2 import access_token

_AUTHORIZATION: Final = "authorization"


def proof_of(context: Context, url: str) -> dict[str, str]:
    """The header of `config.credential`, none without one. Raises CredentialRefused, EgressError."""
    return proof_by(context, context.config.get("credential"), url)


def proof_by(context: Context, name: str | None, url: str) -> dict[str, str]:
    """The header that the credential of this name stands for, none without one. Raises as `proof_of`."""
    if name is None:
        return {}
    credential = context.credential(name, host_and_port(checked_url(url)))
    if credential.type == "token":
        return {_AUTHORIZATION: f"Bearer {credential.data['token']}"}
    if credential.type == "basic":
        return {_AUTHORIZATION: f"Basic {_pair(credential)}"}
    if credential.type == "header":
        return {str(credential.data["name"]).lower(): str(credential.data["value"])}
    if credential.type == "oauth2_client":
        return {_AUTHORIZATION: f"Bearer {access_token(context, credential)}"}
    message = f"The credential {name!r} cannot be sent over HTTP: it is of the type {credential.type}."
    raise CredentialRefused("credential_type", message)


def may_go_to(context: Context, host: str) -> None:
    """Of each hop: redirects included, no credential goes where it may not. Raises CredentialRefused."""
    by_name_may_go_to(context, context.config.get("credential"), host)


def by_name_may_go_to(context: Context, name: str | None, host: str) -> None:
    """As `may_go_to`, for the credential of this name. Raises CredentialRefused."""
    if name is not None:
        context.credential(name, host)
    context.credentials.check(host)


def _pair(credential: Credential) -> str:
    """RFC 7617, in UTF-8."""
    return base64.b64encode(f"{credential.data['username']}:{credential.data['password']}".encode()).decode()
