"""One attempt of one step on its way: its log, its cancel token, and the doing of it."""

import logging
import os
import threading
import time
import traceback
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from flowforge.core import clock, json
from flowforge.core.failpoints import failpoint
from flowforge.core.json import Json
from flowforge.core.redaction import Redactor, secrets_in
from flowforge.engine import relatives
from flowforge.engine.assets import ProjectAssets
from flowforge.engine.cache import Cached
from flowforge.engine.credentials import HeldCredentials, masked, masked_failure
from flowforge.engine.event_waits import ProjectEvents
from flowforge.engine.isolation import isolated, isolation_here
from flowforge.engine.outages import DatabaseAway
from flowforge.engine.outcomes import Result
from flowforge.engine.plan import Plan, UnknownStepType
from flowforge.engine.presence import presence
from flowforge.engine.store.rows import ClaimedRun, EventRow, StepRow
from flowforge.engine.tools import WorkflowTools
from flowforge.kernel.definition import Node
from flowforge.kernel.expressions import ExpressionError
from flowforge.projects import selectors as projects
from flowforge.steps.base import (
    CancelToken,
    Completed,
    Context,
    Continues,
    CredentialPort,
    CredentialRefused,
    Failed,
    LogLevel,
    NoCredentials,
    Outcome,
    StepCancelled,
    StepSettings,
    StepType,
    Waiting,
)
from workflows.services.definitions import step_types

MAX_LOG_LINES = 10_000
MAX_LOG_BYTES = 1024 * 1024
MAX_ERROR_CHARACTERS = 100_000
PROJECT_MARK = "{project}"  # in FLOWFORGE_FILE_ROOTS

log = logging.getLogger("flowforge.engine")
_VOID = Result(outcome=None, dropped=True)  # the attempt was abandoned: the keeper has said how it ended
_by_name = Redactor()  # masks what looks like a secret by the name of its key


class Execution:
    """A step that runs in this process now. The keeper reads it from another thread: `take_logs` is atomic."""

    def __init__(self, run: ClaimedRun, plan: Plan, node: Node, row: StepRow) -> None:
        self.run = run
        self.plan = plan
        self.node = node
        self.row = row
        self.cancel = CancelToken()
        self.inputs: Json = None
        self.redactor = _by_name
        self._secrets: frozenset[str] = frozenset()
        self.held: CredentialPort = NoCredentials()
        self.config: Mapping[str, Any] | None = None
        self.began: float | None = None  # monotonic; None: not begun yet
        self._lock = threading.Lock()
        self._lines: list[EventRow] = []
        self._line_count = self._byte_count = 0
        self.inputs_stored = False
        self._settings: StepSettings | None = None  # where the project wants its own
        self.cached: Cached | None = None
        self.stopped_at: float | None = None  # monotonic: when the keeper saw that it has to stop
        self._is_over = self.is_abandoned = False

    @property
    def ends_at(self) -> float | None:
        """Monotonic moment at which its timeout, or the run's, is up."""
        if self.began is None:
            return None
        limits = []
        timeout = self.plan.timeout_seconds(self.node)
        if timeout is not None:
            limits.append(self.began + timeout)
        if self.run.deadline_at is not None:
            limits.append(time.monotonic() + (self.run.deadline_at - clock.now()).total_seconds())
        return min(limits, default=None)

    def write_log(self, level: LogLevel, message: str) -> None:
        """One line of the step's log; what exceeds the bounds is dropped, and that is said once."""
        with self._lock:
            if self._line_count > MAX_LOG_LINES or self._byte_count > MAX_LOG_BYTES:
                return
            self._line_count += 1
            self._byte_count += len(message)
            if self._line_count > MAX_LOG_LINES or self._byte_count > MAX_LOG_BYTES:
                level, message = "warning", "The log has reached its limit; further lines are dropped."
            line = json.sanitize(self.redactor.text(message))[0]
            data = {**self.row.told, "level": level, "message": line}
            self._lines.append(EventRow(at=clock.now(), event="step.log", step_id=self.row.id, data=data))

    def mask(self, text: str) -> str:
        """As it may be stored, by all that is known to be secret at this moment."""
        return self.redactor.text(text)

    def take_logs(self) -> list[EventRow]:
        """The lines that nobody has stored yet: the taker does."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    def prepare(self, scope: Mapping[str, Any]) -> Failed | None:
        """Render the config; a Failed if that can't be done, and another attempt could not either."""
        refused = self._prepare(scope)
        return None if refused is None else masked_failure(refused, self.redactor)

    def _prepare(self, scope: Mapping[str, Any]) -> Failed | None:
        try:
            step_type = self.plan.step_type(self.node)
            scope = self._with_credentials(scope)
            self.config = self.plan.render(self.node, scope)
            self.cached = Cached.of(self.run, self.plan, self.node, scope)
        except UnknownStepType as error:
            return Failed(code="unknown_step_type", message=f"No step type {error} is installed here.", retryable=False)
        except ExpressionError as error:
            return Failed(code=error.code, message=error.message, retryable=False)
        except CredentialRefused as refused:
            return refused.failed()
        self._mask(secrets_in(self.config))
        self.inputs = json.sanitize(self.redactor.value(self.config))[0]
        return self._refusal(step_type)

    def _with_credentials(self, scope: Mapping[str, Any]) -> Mapping[str, Any]:
        """The scope with the credentials that its config reads; those of all its run are masked from here on."""
        if not self.plan.credentials:
            return scope
        named = self.plan.credentials_of(self.node)
        self.held = HeldCredentials(self.run.project_id, self.plan.credentials, named, self._mask)
        self._mask(self.held.secrets())
        return {**scope, "credentials": self.held.readable()} if named.read else scope

    def _mask(self, secrets: Iterable[str]) -> None:
        """These values, too, are masked in all that is stored of this attempt."""
        found = frozenset(secrets)
        if not found <= self._secrets:
            self._secrets |= found
            self.redactor = Redactor(self._secrets)

    def perform(self) -> Result:
        """Do it, here and now, unless its output is cached. Never raises: whatever happens is a result."""
        self.began = time.monotonic()
        known = self.cached.find() if self.cached is not None else None
        if known is not None:
            return Result(outcome=known, inputs=self.inputs, reason="cached") if self._end() else _VOID
        failpoint("step.before_effect")
        outcome = self._outcome()
        if not self._end():
            return _VOID
        if outcome is not None and self.plan.credentials:
            outcome = masked(outcome, self.redactor)
        self.plan.pace.took(self.node, time.monotonic() - self.began)
        failpoint("step.after_effect")
        if self.cached is not None and isinstance(outcome, Completed):
            self.cached.keep(outcome)
        dropped = False
        if self.cancel.is_set and not isinstance(outcome, Completed | Waiting | Continues):
            outcome, dropped = self._stopped()  # it failed because it was stopped
        return Result(outcome=outcome, dropped=dropped, inputs=self.inputs, logs=self.take_logs())

    def abandon(self) -> Result | None:
        """Its thread does not hear: what is to be recorded in its stead. None if it has come to its end meanwhile."""
        if not self._end():
            return None
        self.is_abandoned = True
        outcome, dropped = self._stopped()
        return Result(outcome=outcome, dropped=dropped, inputs=self.inputs, logs=self.take_logs())

    def _end(self) -> bool:
        """Whether the caller, thread or keeper, is the first to say how it ended: there is no other."""
        with self._lock:
            first, self._is_over = not self._is_over, True
        return first

    def _refusal(self, step_type: StepType) -> Failed | None:
        """The last word on a rendered config: its schema, and what the project allows."""
        assert self.config is not None  # noqa: S101  prepare() has rendered it
        if not self.plan.config(self.node).is_constant:
            faults = step_types().faults_rendered(self.node.type, self.config)
            if faults:
                details = {"errors": [fault.as_dict() for fault in faults]}
                return Failed(code="invalid_config", message=faults[0].detail, retryable=False, details=details)
        if step_type.starts_processes:
            known = projects.settings_of(self.run.project_id)
            allowed = projects.allowed_step_types(known)
            if allowed is None or step_type.name not in allowed:
                message = f"The project does not allow steps of the type {step_type.name}."
                return Failed(code="type_not_allowed", message=message, retryable=False)
            found = isolated(step_settings(), projects.wanted_isolation(known))
            if isinstance(found, Failed):
                return found
            self._settings = found
        return None

    def _outcome(self) -> Outcome | None:
        try:
            return self.plan.step_type(self.node).run(self._context())
        except (StepCancelled, DatabaseAway):
            return None
        except BaseException as error:  # noqa: BLE001  SystemExit too: sys.exit() in a step is to end no thread of ours
            trace = self.redactor.text(traceback.format_exc())
            log.info("step %s of run %s raised\n%s", self.node.id, self.run.id, trace)
            message = self.redactor.text(f"{type(error).__name__}: {_text(error)}")
            return Failed(code="step_error", message=message[:2_000])

    def _stopped(self) -> tuple[Outcome | None, bool]:
        """The outcome of a stopped step, and whether it is the driver's to record: it cancels steps and runs."""
        run_is_over = self.run.deadline_at is not None and clock.now() >= self.run.deadline_at
        if self.cancel.reason in ("cancelled", "lost") or run_is_over:
            return None, True
        if self.cancel.reason == "timeout":
            seconds = self.plan.timeout_seconds(self.node) or 0
            return Failed(code="timeout", message=f"The step exceeded its timeout of {seconds:g} s."), False
        return None, False  # handed back

    def _context(self) -> Context:
        assert self.config is not None  # noqa: S101  prepare() has rendered it
        return Context(
            run_id=str(self.run.id),
            node_id=self.node.id,
            index=self.row.item,
            attempt=self.row.attempt,
            config=self.config,
            idempotency_key=relatives.step_key(self.row.id, self.run.attempt),
            now=clock.now(),
            timeout_seconds=self.plan.timeout_seconds(self.node),
            cancel=self.cancel,
            log=self.write_log,
            settings=with_own_roots(self._settings or step_settings(), self.run.project_id),
            events=ProjectEvents(self.run.project_id, self.row.id, self._without_secrets),
            traceparent=self.run.traceparent,
            assets=ProjectAssets(self.run.project_id, self.run.id, self.cancel),
            tools=WorkflowTools(self.run, self.row, self._without_secrets),
            kept=(self.row.then or {}).get("kept") or {},
            start_run=self._start_run,
            credentials=self.held,
            mask=self.mask,
        )

    def _start_run(self, workflow_id: str, inputs: Mapping[str, Json], awaited: bool) -> str:
        """What another run is given is stored with it: no credential's value goes along."""
        return relatives.start_for_step(self.run, self.row, workflow_id, self._without_secrets(inputs), awaited)

    def _without_secrets(self, value: Mapping[str, Json]) -> Mapping[str, Json]:
        """What leaves the step to be stored elsewhere."""
        return self.redactor.known(value) if self.plan.credentials else value


def _text(error: BaseException) -> str:
    """What an exception says of itself, if it can, and no more of it than anybody reads."""
    try:
        return str(error)[:MAX_ERROR_CHARACTERS]
    except Exception:  # noqa: BLE001  somebody else's __str__ may raise whatever it likes
        return "(its text cannot be had)"


@lru_cache(maxsize=1)
def step_settings() -> StepSettings:
    """What the operator allows steps, from the Django settings."""
    return StepSettings(
        home=settings.HOME,
        file_roots=tuple(settings.FILE_ROOTS),
        allow_private_targets=tuple(settings.ALLOW_PRIVATE_TARGETS),
        isolation=isolation_here(),
        max_data_bytes=settings.MAX_DATA_BYTES,
        data_memory_bytes=settings.DATA_MEMORY_BYTES,
        llm_prices=settings.LLM_PRICES,
    )


def with_own_roots(found: StepSettings, project_id: uuid.UUID) -> StepSettings:
    """`{project}` in a file root is the project's id: a folder that other projects do not reach."""
    if not any(PROJECT_MARK in os.fspath(root) for root in found.file_roots):
        return found
    roots = tuple(Path(os.fspath(root).replace(PROJECT_MARK, str(project_id))) for root in found.file_roots)
    return replace(found, file_roots=roots)


def attempt(execution: Execution, scope: Mapping[str, Any]) -> Result:
    """Render and perform: a whole attempt."""
    refused = execution.prepare(scope)
    if refused is not None:
        return Result(outcome=refused, inputs=execution.inputs)
    result = execution.perform()
    presence.step_ended()
    return result
