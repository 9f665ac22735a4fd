"""The credentials of one attempt: opened when it begins, held against their hosts, masked in all that is stored."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from flowforge.core import clock
from flowforge.core.json import Json
from flowforge.core.redaction import Redactor
from flowforge.credentials.constants import PUBLIC_FIELDS
from flowforge.credentials.services.opening import Opened, open_credentials
from flowforge.engine.named import NamedCredentials
from flowforge.steps import hosts
from flowforge.steps.base import Completed, Continues, Credential, CredentialRefused, Failed, Outcome


class HeldCredentials:
    """A `CredentialPort`, made at a step's start: one query for all that the run's definition names."""

    def __init__(
        self,
        project_id: uuid.UUID,
        names: Iterable[str],
        named: NamedCredentials,
        mask: Callable[[Iterable[str]], None],
    ) -> None:
        """`names`: of the whole definition, for their values to be masked; `named`: those of this step."""
        self._named = named
        self._mask = mask
        self._opened = open_credentials(project_id=project_id, names=names, used=named.all, now=clock.now())

    def secrets(self) -> Iterator[str]:
        for opened in self._opened.values():
            yield from opened.secrets

    def readable(self) -> dict[str, Mapping[str, str | int]]:
        """What expressions see as `credentials`. Raises CredentialRefused."""
        now = clock.now()
        return {name: self._usable(name, now).data for name in sorted(self._named.read)}

    @property
    def in_use(self) -> bool:
        return bool(self._named.all)

    def get(self, name: str, host: str) -> Credential:
        opened = self._named_one(name)
        _require_host(opened, host)
        return Credential(name=name, type=opened.type, data=opened.data)

    def public(self, name: str) -> Mapping[str, str | int]:
        data = self._named_one(name).data
        return {field: value for field, value in data.items() if field in PUBLIC_FIELDS}

    def check(self, host: str) -> None:
        for name in sorted(self._named.read):
            _require_host(self._opened[name], host)

    def conceal(self, secret: str) -> None:
        self._mask([secret])

    def _named_one(self, name: str) -> Opened:
        if name not in self._named.sent:
            raise CredentialRefused("credential_unknown", f"The step's config does not name the credential {name!r}.")
        return self._usable(name, clock.now())

    def _usable(self, name: str, now: datetime) -> Opened:
        opened = self._opened.get(name)
        if opened is None:
            raise CredentialRefused("credential_unknown", f"The project has no credential {name!r}.")
        if opened.expires_at is not None and opened.expires_at <= now:
            raise CredentialRefused("credential_expired", f"The credential {name!r} has expired.")
        if not opened.is_readable:
            raise CredentialRefused("credential_unreadable", f"No key of this server opens the credential {name!r}.")
        return opened


def masked(outcome: Outcome, redactor: Redactor) -> Outcome:
    """An outcome without any secret value, wherever it stood."""
    if isinstance(outcome, Completed):
        return _completed(outcome, redactor)
    if isinstance(outcome, Failed):
        return masked_failure(outcome, redactor)
    if isinstance(outcome, Continues):
        return replace(outcome, kept=_object(outcome.kept, redactor))
    then = outcome.then
    return replace(
        outcome,
        then=_completed(then, redactor) if isinstance(then, Completed) else masked_failure(then, redactor),
        waits_for=redactor.text(outcome.waits_for),
        items=None if outcome.items is None else [redactor.known(item) for item in outcome.items],
        asks=_object(outcome.asks, redactor),
    )


def masked_failure(failed: Failed, redactor: Redactor) -> Failed:
    return replace(
        failed,
        message=redactor.text(failed.message),
        details=_object(failed.details, redactor),
        output=redactor.known(failed.output),
    )


def _completed(outcome: Completed, redactor: Redactor) -> Completed:
    otherwise = outcome.otherwise
    return replace(
        outcome,
        output=redactor.known(outcome.output),
        branch=None if outcome.branch is None else redactor.text(outcome.branch),
        otherwise=None if otherwise is None else masked_failure(otherwise, redactor),
    )


def _object(value: Mapping[str, Json], redactor: Redactor) -> dict[str, Json]:
    return {redactor.text(key): redactor.known(item) for key, item in value.items()}


def _require_host(opened: Opened, host: str) -> None:
    """Where a credential may go is decided here, before anything is connected."""
    if not hosts.admits(opened.hosts, host):
        message = f"The credential {opened.name!r} may not be sent to {host}."
        raise CredentialRefused("credential_host", message)
