"""A step's conversation with its model, from leg to leg: between two legs the step holds no thread.

What the model has said is kept before a workflow is started for it, so that a worker's death asks nothing twice, and
starts nothing that was not asked for.
"""

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from flowforge.core import clock, json
from flowforge.core.json import Json
from flowforge.steps.base import Completed, Context, Continues, Failed, StartRefused
from flowforge.steps.llm import structured
from flowforge.steps.llm.ask import Line
from flowforge.steps.llm.exchange import Call, Message, Question, Reply, ReplyFailed, failure
from flowforge.steps.llm.prices import cost_of
from flowforge.steps.llm.toolbox import BadCall, Toolbox, failed, told

MAX_ROUNDS: Final = 10  # replies that ask for tools
MAX_KEPT_BYTES: Final = 512 * 1024


DEFAULT_SECONDS: Final = 300.0
Turn = Completed | Failed | Continues
Number = TypeVar("Number", int, float)


@dataclass(kw_only=True)
class Kept:
    """What is known of a conversation beside its config; plain JSON between two legs."""

    attempt: int
    ends_at: float  # seconds since the epoch
    said: list[Message] = field(default_factory=list)  # after the config's own messages
    pending: list[dict[str, Json]] = field(default_factory=list)  # calls that have no result yet
    run_id: str | None = None  # of the first of them, once it is started
    rounds: int = 0
    calls: int = 0  # runs asked for so far: the number of the next
    requests: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cost: float | None = 0.0

    @classmethod
    def of(cls, context: Context) -> "Kept":
        """Of the leg before; a new attempt has a deadline of its own, and need not ask again what it knows."""
        seconds = context.timeout_seconds if context.timeout_seconds is not None else DEFAULT_SECONDS
        ends_at = (clock.now() + timedelta(seconds=seconds)).timestamp()
        if not context.kept:
            return cls(attempt=context.attempt, ends_at=ends_at)
        found = cls(**json.loads_trusted(json.dumps(context.kept)))  # a copy: what fails changes nothing
        if found.attempt != context.attempt:
            found.attempt, found.ends_at = context.attempt, ends_at
        return found


class Conversation:
    """One leg."""

    def __init__(self, context: Context, line: Line, question: Question, toolbox: Toolbox) -> None:
        self._context = context
        self._line = line
        self._question = question
        self._toolbox = toolbox
        self._kept = Kept.of(context)
        self._cost = 0.0  # of this leg
        self._is_repaired = False

    def go(self) -> Turn:
        """As far as it goes without waiting. Raises StepCancelled."""
        try:
            outcome: Turn = self._call_next() if self._kept.pending else self._answer()
        except ReplyFailed as error:
            self._context.tools.abandon()
            outcome = error.failed
        return replace(outcome, cost=self._cost)

    # --- tools ----------------------------------------------------------------------------------------------------

    def _call_next(self) -> Turn:
        """Start the first call that has no result, or take its result and go on."""
        kept = self._kept
        if kept.run_id is None:
            call = Call(**kept.pending[0])
            try:
                kept.run_id = self._start(call)
            except BadCall as error:
                self._context.log("warning", f"tool call not made: {call.name[:100]!r}: {error}")
                return self._result(failed(str(error)))
            return self._continues(run_id=kept.run_id)
        end = self._context.tools.ended(kept.run_id)
        if end is None:
            self._require_time()
            return self._continues(run_id=kept.run_id)
        self._context.log("info", f"tool run {kept.run_id} {end.status}")
        return self._result(told(end))

    def _start(self, call: Call) -> str:
        """Raises BadCall with what the model may mend, ReplyFailed with what it cannot."""
        tool, inputs = self._toolbox.take(call)
        try:
            run_id = self._context.tools.start(tool, inputs, self._kept.calls)
        except StartRefused as refusal:
            if refusal.code == "invalid_inputs":
                raise BadCall(f"{refusal} {json.text(refusal.details)}"[:2_000]) from None
            problem = Failed(code=refusal.code, message=str(refusal), retryable=refusal.retryable)
            raise ReplyFailed(problem) from None
        self._context.log("info", f"tool {call.name} called: run {run_id}")
        return run_id

    def _result(self, content: str) -> Turn:
        """Note the result of the first pending call; go on with the next, or ask."""
        kept = self._kept
        kept.said.append({"role": "tool", "id": kept.pending.pop(0)["id"], "content": content})
        kept.run_id, kept.calls = None, kept.calls + 1
        return self._call_next() if kept.pending else self._answer()

    def _take_calls(self, reply: Reply) -> Turn:
        kept = self._kept
        kept.rounds += 1
        if kept.rounds > MAX_ROUNDS:
            raise failure("too_many_tool_calls", f"The model asked for tools {kept.rounds} times.", retryable=False)
        calls = [call.as_dict() for call in reply.calls]
        kept.said.append({"role": "assistant", "content": reply.text, "calls": calls})
        kept.pending = list(calls)
        return self._continues()

    def _continues(self, run_id: str | None = None) -> Continues:
        """Give the thread back. Raises ReplyFailed where there is more to keep than can be."""
        kept = asdict(self._kept)
        if len(json.dumps(kept)) > MAX_KEPT_BYTES:
            raise failure("conversation_too_large", "The conversation is larger than can be kept.", retryable=False)
        until = datetime.fromtimestamp(self._kept.ends_at, tz=UTC)
        return Continues(kept=kept, until=clock.now() if run_id is None else until, run_id=run_id)

    # --- the model ------------------------------------------------------------------------------------------------

    def _answer(self) -> Turn:
        """Ask until there is an answer that fits, once more at most, or tools to be called."""
        reply = self._ask()
        if reply.calls:
            return self._take_calls(reply)
        if self._question.output_schema is None:
            return self._completed(reply.text, None)
        value, faults = structured.read(reply.text, self._question.output_schema)
        if not faults:
            return self._completed(reply.text, value)
        if self._is_repaired:
            details = {"errors": [fault.as_dict() for fault in faults]}
            message = f"The answer does not fit output_schema, corrected or not: {faults[0].detail}"
            output = self._output(reply.text, None)
            raise ReplyFailed(Failed(code="invalid_output", message=message, details=details, output=output))
        self._is_repaired = True
        self._context.log("warning", f"the answer does not fit output_schema ({len(faults)} faults): asking once more")
        self._kept.said.append({"role": "assistant", "content": reply.text, "calls": []})
        self._kept.said.append({"role": "user", "content": structured.repair(faults)})
        return self._answer()

    def _ask(self) -> Reply:
        question = replace(self._question, messages=[*self._question.messages, *self._kept.said])
        reply = self._line.ask(question, self._require_time())
        self._count(reply)
        if reply.stop == "refusal":
            said = f": {reply.refusal[:500]}" if reply.refusal else ""
            raise failure("refused", f"The model refused to answer{said}", retryable=False)
        if reply.stop == "length":
            message = f"The reply was cut off at max_tokens ({self._question.max_tokens})."
            output = self._output(reply.text, None)
            raise ReplyFailed(Failed(code="max_tokens_reached", message=message, retryable=False, output=output))
        return reply

    def _require_time(self) -> float:
        """Seconds that are left. Raises ReplyFailed if none are."""
        left = self._kept.ends_at - clock.now().timestamp()
        if left <= 0:
            raise failure("timeout", "The conversation has not ended in time.")
        return left

    # --- what it comes to -----------------------------------------------------------------------------------------

    def _count(self, reply: Reply) -> None:
        kept = self._kept
        cost = cost_of(self._context.settings.llm_prices, self._question.model, reply.input_tokens, reply.output_tokens)
        if cost is None and kept.cost is not None:
            self._context.log("warning", f"the cost is not known: no price of {self._question.model}, or no usage told")
        kept.requests += 1
        kept.input_tokens = _plus(kept.input_tokens, reply.input_tokens)
        kept.output_tokens = _plus(kept.output_tokens, reply.output_tokens)
        kept.cost = _plus(kept.cost, cost)
        self._cost += cost or 0.0

    def _completed(self, text: str, value: Json) -> Completed:
        kept = self._kept
        self._context.log("info", f"{kept.input_tokens} tokens in, {kept.output_tokens} out, cost {kept.cost}")
        return Completed(output=self._output(text, value))

    def _output(self, text: str, value: Json) -> dict[str, Any]:
        kept = self._kept
        usage = {
            "input_tokens": kept.input_tokens,
            "output_tokens": kept.output_tokens,
            "requests": kept.requests,
            "tool_calls": kept.calls,
        }
        return {"text": text, "json": value, "usage": usage, "cost": kept.cost}


def _plus(one: Number | None, other: Number | None) -> Number | None:
    return None if one is None or other is None else one + other
