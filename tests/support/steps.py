"""An attempt of a step without an engine: its context, and what it logged."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flowforge.steps.assets import NO_ASSETS, AssetPort
from flowforge.steps.base import (
    CancelToken,
    Context,
    Credential,
    CredentialPort,
    CredentialRefused,
    LogLevel,
    NoCredentials,
    Outcome,
    Published,
    StartRefused,
    StepSettings,
    StepType,
)
from flowforge.steps.levels import LIMITS, Isolation
from flowforge.steps.tools import NO_TOOLS, ToolPort

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LOOPBACK = ("127.0.0.0/8", "::1")


@dataclass(kw_only=True)
class Events:
    """Where a step publishes: keeps what was published by its key."""

    published: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    unclear: int = 0

    def publish(self, *, event: str, payload: Mapping[str, Any], key: str) -> Published:
        self.published.setdefault(key, (event, payload))
        return Published(id=f"event-{len(self.published)}", matched=2, unclear=self.unclear)


class Tokens(NoCredentials):
    """One credential, `key`, of the type token, that may be sent to the loopback."""

    in_use = True

    def __init__(self, token: str) -> None:
        self._token = token

    def get(self, name: str, host: str) -> Credential:
        if name != "key":
            return super().get(name, host)
        if not host.startswith("127.0.0.1:"):
            raise CredentialRefused("credential_host", "It may not go there.")
        return Credential(name=name, type="token", data={"token": self._token})


@dataclass(kw_only=True)
class Attempt:
    """`Attempt(home=tmp_path).run(step_type, config)`; `lines` is the log, `cancel_after(text)` stops it there."""

    home: Path
    allow: Sequence[str] = LOOPBACK
    file_roots: Sequence[Path] = ()
    timeout_seconds: float | None = None
    isolation: Isolation = LIMITS
    server_home: Path | None = None  # FLOWFORGE_HOME, where it is not `home`
    started: list[tuple[str, Mapping[str, Any], bool]] = field(default_factory=list)  # runs that the step started
    traceparent: str = ""
    tools: ToolPort = NO_TOOLS
    assets: AssetPort = NO_ASSETS
    attempt: int = 1
    idempotency_key: str = "key-1"
    max_data_bytes: int = 1024**3
    data_memory_bytes: int = 256 * 1024**2
    credentials: CredentialPort = field(default_factory=NoCredentials)
    kept: Mapping[str, Any] = field(default_factory=dict)
    llm_prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    events: Events = field(default_factory=Events)
    lines: list[tuple[LogLevel, str]] = field(default_factory=list)
    cancel: CancelToken = field(default_factory=CancelToken)
    _stop_at: tuple[str, str] | None = None

    def cancel_after(self, text: str, reason: str = "cancelled") -> None:
        """Cancel, from another thread as the engine does, as soon as a line of the log holds `text`."""
        self._stop_at = (text, reason)

    def log(self, level: LogLevel, message: str) -> None:
        self.lines.append((level, message))
        if self._stop_at is not None and self._stop_at[0] in message:
            threading.Thread(target=self.cancel.cancel, args=[self._stop_at[1]]).start()

    def context(self, config: Mapping[str, Any] | None = None) -> Context:
        return Context(
            run_id="run-1",
            node_id="node-1",
            index=None,
            attempt=self.attempt,
            config=config or {},
            idempotency_key=self.idempotency_key,
            now=NOW,
            timeout_seconds=self.timeout_seconds,
            cancel=self.cancel,
            log=self.log,
            events=self.events,
            settings=StepSettings(
                home=self.server_home or self.home,
                allow_private_targets=self.allow,
                file_roots=self.file_roots,
                isolation=self.isolation,
                llm_prices=self.llm_prices,
                max_data_bytes=self.max_data_bytes,
                data_memory_bytes=self.data_memory_bytes,
            ),
            traceparent=self.traceparent,
            start_run=self.start_run,
            tools=self.tools,
            assets=self.assets,
            credentials=self.credentials,
            kept=self.kept,
        )

    def start_run(self, workflow_id: str, inputs: Mapping[str, Any], awaited: bool) -> str:
        """Starts what it is asked for, unless it is `gone`."""
        if workflow_id == "gone":
            raise StartRefused("not_found", "There is no such workflow.")
        self.started.append((workflow_id, inputs, awaited))
        return f"run-of-{workflow_id}"

    def run(self, step_type: StepType, config: Mapping[str, Any]) -> Outcome:
        return step_type.run(self.context(config))

    @property
    def text(self) -> str:
        """The log's messages, one a line."""
        return "\n".join(message for _, message in self.lines)
