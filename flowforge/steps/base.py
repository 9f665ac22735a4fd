"""What a step type is. One file a type beside this one; own types come by the entry-point group `flowforge.steps`.

A step type knows nothing of the database, Celery or Django: what it needs of the world comes in its `Context`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

from flowforge.core.errors import Fault
from flowforge.core.json import Json
from flowforge.steps.assets import NO_ASSETS, AssetPort
from flowforge.steps.levels import LIMITS, Isolation
from flowforge.steps.tools import NO_TOOLS, ToolPort

LogLevel = Literal["debug", "info", "warning", "error"]
Kind = Literal["pure", "effect"]
Queue = Literal["default", "process"]

# --- outcomes: a closed set ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """The step is done."""

    output: Json = None
    branch: str | None = None  # the label that outgoing edges' `when` are compared with
    otherwise: "Failed | None" = None  # at the end of a wait: what it is instead if no edge names the branch
    cost: float = 0.0  # what the attempt has cost: added to the run's `llm_cost`


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """This attempt failed; whether another follows is the retry policy's to say."""

    code: str  # stable, snake_case: `timeout`, `exit_code`, `http_status` …
    message: str
    retryable: bool = True  # False: another attempt cannot help (bad config, a refused target)
    retry_after_seconds: float | None = None  # the other side's wish (Retry-After)
    details: Mapping[str, Json] = field(default_factory=dict)
    output: Json = None  # what there is to show all the same: exit code, the answer's body
    cost: float = 0.0  # as that of Completed


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Nothing to do before `until` (or before an outside event): the step holds no process while it waits."""

    until: datetime | None  # None: it waits for someone outside alone
    then: "Completed | Failed" = Completed()  # the outcome once `until` has come
    waits_for: str = "time"  # `time`, or what someone outside has to bring: `approval`, `event:<name>` …
    items: list[Json] | None = None  # of a `map`: what it goes over while it waits
    asks: Mapping[str, Json] = field(default_factory=dict)  # what whoever ends the wait has to know; kept with the step


@dataclass(frozen=True, kw_only=True, slots=True)
class Continues:
    """The same attempt goes on later and holds no thread until then: what is kept is the next `Context.kept`."""

    kept: Mapping[str, Json]
    until: datetime  # when it goes on
    run_id: str | None = None  # a run that it has started: it goes on as soon as that has ended
    cost: float = 0.0  # of what was done so far, since it last went on


Outcome = Completed | Failed | Waiting | Continues


class StepCancelled(Exception):
    """Raised inside a step by its helpers when it has to stop: cancelled, timed out or handed back."""


class StartRefused(Exception):
    """No run could be started: the step fails with this."""

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, details: Mapping[str, Json] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.details = details or {}


# --- what a step is given -----------------------------------------------------------------------------------------


class CancelToken:
    """Says once that a step has to stop, and calls whoever can end its work (kill a process, shut a socket)."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.reason: str = ""  # `cancelled`, `timeout` or `drain`

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep at most `seconds`; True if it has to stop."""
        return self._event.wait(seconds)

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call `callback` from the cancelling thread; at once if it is cancelled already."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def cancel(self, reason: str) -> None:
        """Idempotent: the first reason stays."""
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()


StartRun = Callable[[str, Mapping[str, Json], bool], str]
"""(workflow id, inputs, whether the step waits for its end) -> run id. However often a step asks, it starts one run,
and whose step waits for it, it ends with that step. Raises StartRefused."""


def _starts_nothing(_workflow_id: str, _inputs: Mapping[str, Json], _awaited: bool) -> str:
    raise StartRefused("not_available", "No runs can be started here.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A project event that is on disk, and whom it has woken so far."""

    id: str
    matched: int  # waiting steps that it has ended
    unclear: int  # waiting steps whose `match` could not be evaluated: they go on waiting


class EventPort(Protocol):
    """Where steps publish events of their run's project."""

    def publish(self, *, event: str, payload: Mapping[str, Json], key: str) -> Published:
        """Once: a second call with the same `key` publishes nothing, and answers with what the first has published."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """A secret of the run's project, opened for one attempt. It goes to the host it was asked for, and nowhere else."""

    name: str
    type: str  # token, basic, header, oauth2_client, aws, database
    data: Mapping[str, str | int] = field(repr=False)  # by type: docs/credentials.md


class CredentialRefused(Exception):
    """The credential cannot be had, or may not be sent there: the step fails with this."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code  # credential_unknown, credential_expired, credential_host, credential_type …
        self.message = message
        self.retryable = retryable

    def failed(self) -> Failed:
        return Failed(code=self.code, message=self.message, retryable=self.retryable)


class CredentialPort(Protocol):
    """The credentials that a step's config names, in a member of `credential_members` or in expressions."""

    def get(self, name: str, host: str) -> Credential:
        """To be sent to `host` (`name` or `name:port`). Raises CredentialRefused."""
        ...

    def public(self, name: str) -> Mapping[str, str | int]:
        """What of it is no secret, such as the host that it is for. Raises CredentialRefused."""
        ...

    def check(self, host: str) -> None:
        """Whether all that the config's expressions read may be sent to `host`. Raises CredentialRefused."""
        ...

    @property
    def in_use(self) -> bool:
        """Whether the config names any."""
        ...

    def conceal(self, secret: str) -> None:
        """Mask this, too, in whatever is stored of the attempt: a token that a credential was exchanged for."""
        ...


class NoCredentials:
    """The port where there are none."""

    in_use = False

    def get(self, name: str, host: str) -> Credential:  # noqa: ARG002  the port's signature
        raise CredentialRefused("credential_unknown", f"There is no credential {name!r} here.")

    def public(self, name: str) -> Mapping[str, str | int]:
        raise CredentialRefused("credential_unknown", f"There is no credential {name!r} here.")

    def check(self, host: str) -> None:
        """Nothing is held, so nothing can leak."""

    def conceal(self, secret: str) -> None:
        """Nothing is stored."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """One attempt of one step."""

    run_id: str
    node_id: str
    index: int | None
    attempt: int  # from 1
    config: Mapping[str, Any]  # rendered: no expressions left, but in `unrendered` members
    idempotency_key: str  # the same for every attempt of this step
    now: datetime
    timeout_seconds: float | None  # of this attempt; the engine cancels at its end with reason "timeout"
    cancel: CancelToken
    log: Callable[[LogLevel, str], None]  # one line; bounded, masked and stored as it comes
    settings: "StepSettings"
    events: EventPort
    traceparent: str = ""
    start_run: StartRun = _starts_nothing
    tools: ToolPort = NO_TOOLS
    assets: AssetPort = NO_ASSETS
    kept: Mapping[str, Json] = field(default_factory=dict)  # what the step itself has kept: Continues
    credentials: CredentialPort = field(default_factory=NoCredentials)
    mask: Callable[[str], str] = str
    """The text without secrets: for what is cut before it is logged or given back. A secret cut in two is none that
    anybody would recognise"""

    def credential(self, name: str, host: str) -> Credential:
        """What `config.credential` and its kin name, to be sent to `host` (`name` or `name:port`) and nowhere else.

        The name stands in a member of the config that the type's `credential_members` lists, as it is written: no
        expression. Everything secret in it is masked in all that is stored of the attempt. Raises CredentialRefused,
        whose `failed()` is the outcome, for one that is unknown, has expired or is bound to other hosts.
        """
        return self.credentials.get(name, host)


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """What the operator allows and provides; built once from the Django settings by the engine."""

    home: Path  # scratch directories live under home/scratch
    file_roots: Sequence[Path] = ()
    allow_private_targets: Sequence[str] = ()  # CIDR networks or host names; ("*",): all
    process_memory_bytes: int | None = 4 * 1024**3  # private memory of each process of a command; None: not bounded
    isolation: Isolation = LIMITS  # of what a step starts
    max_data_bytes: int = 4 * 1024**3  # of what a step on data reads from, or writes to, one place
    data_memory_bytes: int = 1024**3  # that the engine of such a step works in; what exceeds it goes to disk
    llm_prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # model: a million tokens in, out


class StepType(Protocol):
    """A step type: a stateless object, safe to call from several threads."""

    name: ClassVar[str]
    title: ClassVar[str]  # for people
    description: ClassVar[str]
    kind: ClassVar[Kind]
    """pure: a function of config alone, evaluated in the engine's own thread (under a millisecond, no I/O);
    effect: has effects or takes time; runs at least once per attempt"""
    queue: ClassVar[Queue]  # the worker pool: `process` for what starts processes
    starts_processes: ClassVar[bool]  # a project must allow it in `allowed_step_types`
    default_timeout_seconds: ClassVar[float | None]
    config_schema: ClassVar[Mapping[str, Any]]  # JSON Schema 2020-12 of the config as it is written
    output_schema: ClassVar[Mapping[str, Any]]
    unrendered: ClassVar[frozenset[str]]  # members of the config whose expressions are evaluated later, by others

    def check(self, config: Mapping[str, Any]) -> list[Fault]:
        """Faults that the schema cannot express, pointers relative to the config.

        Strings may hold expressions; a member that the schema refuses (or misses) comes as one.
        """
        ...

    def branches(self, config: Mapping[str, Any]) -> frozenset[str] | None:
        """The labels that its edges' `when` can name; None: it has no branch labels; an empty set: any text."""
        ...

    def run(self, context: Context) -> Outcome:
        """Do it. An exception is a failed attempt (`step_error`); StepCancelled ends it as the engine asked for."""
        ...


class BaseStep:
    """What most step types have in common; inherit from it or satisfy StepType without."""

    queue: ClassVar[Queue] = "default"
    starts_processes: ClassVar[bool] = False
    default_timeout_seconds: ClassVar[float | None] = None
    unrendered: ClassVar[frozenset[str]] = frozenset()
    credential_members: ClassVar[frozenset[str]] = frozenset()
    """Members of the config that hold a credential's name. Optional: a type without it reads credentials in
    expressions alone"""
    asset_members: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Members of the config that hold an asset's id -> its type (`prompt`, `dataset`, `snippet`): looked up when a
    definition is saved, as every literal `asset://<id>` is. Optional, too"""
    target_member: ClassVar[str | None] = None
    """The member with the URL that its credentials are sent to: held against their hosts when a definition is saved"""

    def check(self, config: Mapping[str, Any]) -> list[Fault]:  # noqa: ARG002  the schema says it all
        return []

    def branches(self, config: Mapping[str, Any]) -> frozenset[str] | None:  # noqa: ARG002  no labels
        return None
