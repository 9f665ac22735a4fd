"""One attempt of one step on its way: its log, its cancel token, and the doing of it."""

import logging
import threading
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from django.conf import settings

from flowforge.core import clock, json
from flowforge.core.failpoints import failpoint
from flowforge.core.json import Json
from flowforge.core.redaction import Redactor, secrets_in
from flowforge.engine import relatives
from flowforge.engine.cache import Cached
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
    Failed,
    LogLevel,
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

log = logging.getLogger("flowforge.engine")
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
        self.config: Mapping[str, Any] | None = None
        self.began: float | None = None  # monotonic; None: not begun yet
        self._lock = threading.Lock()
        self._lines: list[EventRow] = []
        self._line_count = self._byte_count = 0
        self.inputs_stored = False
        self._settings: StepSettings | None = None  # where the project wants its own
        self.cached: Cached | None = None

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

    def take_logs(self) -> list[EventRow]:
        """The lines that nobody has stored yet: the taker does."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    def prepare(self, scope: Mapping[str, Any]) -> Failed | None:
        """Render the config; a Failed if that can't be done, and another attempt could not either."""
        try:
            step_type = self.plan.step_type(self.node)
            self.config = self.plan.render(self.node, scope)
            self.cached = Cached.of(self.run, self.plan, self.node, scope)
        except UnknownStepType as error:
            return Failed(code="unknown_step_type", message=f"No step type {error} is installed here.", retryable=False)
        except ExpressionError as error:
            return Failed(code=error.code, message=error.message, retryable=False)
        secrets = set(secrets_in(self.config))
        if secrets:  # and these values are masked in the log, too
            self.redactor = Redactor(secrets)
        self.inputs = json.sanitize(self.redactor.value(self.config))[0]
        return self._refusal(step_type)

    def perform(self) -> Result:
        """Do it, here and now, unless its output is cached. Never raises: whatever happens is a result."""
        self.began = time.monotonic()
        known = self.cached.find() if self.cached is not None else None
        if known is not None:
            return Result(outcome=known, inputs=self.inputs, reason="cached")
        failpoint("step.before_effect")
        outcome = self._outcome()
        self.plan.pace.took(self.node, time.monotonic() - self.began)
        failpoint("step.after_effect")
        if self.cached is not None and isinstance(outcome, Completed):
            self.cached.keep(outcome)
        dropped = False
        if self.cancel.is_set and not isinstance(outcome, Completed | Waiting | Continues):
            outcome, dropped = self._stopped()  # it failed because it was stopped
        return Result(outcome=outcome, dropped=dropped, inputs=self.inputs, logs=self.take_logs())

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
        except BaseException as error:  # SystemExit too: sys.exit() in a step is not to end a thread of ours
            log.info("step %s of run %s raised", self.node.id, self.run.id, exc_info=True)
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
            settings=self._settings or step_settings(),
            events=ProjectEvents(self.run.project_id, self.row.id),
            traceparent=self.run.traceparent,
            start_run=partial(relatives.start_for_step, self.run, self.row),
            tools=WorkflowTools(self.run, self.row),
            kept=(self.row.then or {}).get("kept") or {},
        )


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
        llm_prices=settings.LLM_PRICES,
    )


def attempt(execution: Execution, scope: Mapping[str, Any]) -> Result:
    """Render and perform: a whole attempt."""
    refused = execution.prepare(scope)
    if refused is not None:
        return Result(outcome=refused, inputs=execution.inputs)
    result = execution.perform()
    presence.step_ended()
    return result
