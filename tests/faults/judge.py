"""What must hold once all is quiet: of the database, of what clients were told, of the ledger, of the predictions."""

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.client import Caller, Offered
from tests.faults.ledger import Effect
from tests.faults.load import Load
from tests.faults.prediction import Prediction, predict
from tests.support.invariants import Story, violations

STOP_SECONDS = 5.0  # after a cancellation; the promise is 2
SHOWN = 40  # violations that are printed


@dataclass(kw_only=True)
class Verdict:
    """Of one scenario."""

    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    histories: list[str] = field(default_factory=list)  # of runs that are violated
    recoveries: list[float] = field(default_factory=list)  # seconds from a death to the next start of what it held
    offered: list[Offered] = field(default_factory=list)  # what clients asked, and were told


class Judge:
    """Reads everything once, then asks."""

    def __init__(
        self,
        stories: Sequence[Story],
        load: Load | None,  # None: nobody has offered programs
        effects: Sequence[Effect],
        deaths: Sequence[tuple[int, float]],
    ) -> None:
        self._stories = list(stories)
        self._load = load
        self._offered = [] if load is None else list(load.history.offered)
        self._deaths = deaths
        self._by_token: dict[str, list[Story]] = defaultdict(list)
        for story in self._stories:
            self._by_token[str((story.run.inputs or {}).get("token"))].append(story)
        self._steps = {step.id: (story, step) for story in self._stories for step in story.steps}
        self._effects: dict[str, list[Effect]] = defaultdict(list)
        for effect in effects:
            self._effects[uuid.UUID(effect.key[3:39]).hex].append(effect)

    def judge(self) -> Verdict:
        found = Verdict()
        found.violations += violations(self._stories)
        if self._load is not None:
            for part in (self._set_test, self._once, self._as_foretold):
                found.violations += part()
        for part in (self._ledger, self._no_effect_after_the_end):
            found.violations += part()
        found.histories = [self._history(story) for story in self._stories if story.run.id in str(found.violations)]
        found.recoveries = sorted(self._recoveries())
        found.offered = self._offered
        self._count(found.counts)
        return found

    # --- what clients were told --------------------------------------------------------------------------------------

    def _set_test(self) -> Iterator[str]:
        """Every ok is there, and is the run that was named; what was refused is not; nothing came from nowhere."""
        offered = {each.token: each for each in self._offered}
        for token, each in offered.items():
            stories = self._by_token.get(token, [])
            if each.word == "ok" and [_hyphened(story.run.id) for story in stories] != [each.run_id]:
                yield f"{token}: accepted as {each.run_id}, stored are {[story.run.id for story in stories]}"
            if each.word == "refused" and stories:
                yield f"{token}: refused ({each.statuses}), and yet stored"
        for token in self._by_token:
            if token.partition("/")[0] not in offered:
                yield f"{token}: stored, but never asked for"

    def _once(self) -> Iterator[str]:
        """One run for each key, whatever was asked how often: of clients and of steps that start children."""
        for token, stories in self._by_token.items():
            if len(stories) > 1:
                yield f"{token}: stored {len(stories)} times: {[story.run.id for story in stories]}"

    # --- what was foretold -------------------------------------------------------------------------------------------

    def _as_foretold(self) -> Iterator[str]:
        assert self._load is not None
        for each in self._offered:
            stories = self._by_token.get(each.token)
            if stories and not self._is_poisoned(each.token):
                program = self._load.stored(each.number).program
                foretold = predict(program, self._load.inputs(each.number))
                for fault in self._differences(stories[0], foretold):
                    yield f"run {stories[0].run.id} ({each.token}, program {program.seed}): {fault}"

    def _differences(self, story: Story, foretold: Prediction) -> Iterator[str]:
        run = story.run
        if run.status == "cancelled" and each_was_asked(story):
            return  # as somebody wished; how far it came is nobody's to foretell
        total = None if run.outputs is None else run.outputs.get("total")
        if (run.status, total) != (foretold.status, foretold.total):
            yield f"it is {run.status} with {total}, foretold was {foretold.status} with {foretold.total}"
        statuses = {step.node_id: step.status for step in story.steps if step.index == -1}
        expected = {node: fate.status for node, fate in foretold.fates.items()}
        if statuses != expected:
            other = {node: (statuses.get(node), status) for node, status in expected.items()}
            yield f"steps are not as foretold: { {node: each for node, each in other.items() if each[0] != each[1]} }"
        yield from self._effect_differences(story, foretold)
        for node, child in foretold.children.items():
            stories = self._by_token.get(f"{run.inputs['token']}/{node}")
            if not stories:
                yield f"the child of {node} is not stored"
                continue
            for fault in self._differences(stories[0], child):
                yield f"child of {node}: {fault}"

    def _effect_differences(self, story: Story, foretold: Prediction) -> Iterator[str]:
        """Each effect was done in each of its attempts, and no other effect was."""
        done = {
            (step.node_id, step.index): {effect.attempt for effect in self._effects[step.id]}
            for step in story.steps
            if self._effects.get(step.id)
        }
        expected = {place: set(range(1, attempts + 1)) for place, attempts in foretold.effects.items()}
        if done != expected:
            yield f"effects by (step, item), attempts: {done}, foretold were {expected}"

    def _is_poisoned(self, token: str) -> bool:
        """Whether it, or a child, has lost MAX_LOST workers in a row: then it rightly failed."""
        return any(
            (step.error or {}).get("code") == "worker_lost"
            for other, stories in self._by_token.items()
            if other == token or other.startswith(f"{token}/")
            for story in stories
            for step in story.steps
        )

    # --- the ledger --------------------------------------------------------------------------------------------------

    def _ledger(self) -> Iterator[str]:
        """No effect without a start that the history tells of; each more than its attempts has a loss behind it."""
        for step_id, effects in self._effects.items():
            if step_id not in self._steps:
                yield f"an effect of {effects[0].run} {effects[0].node}, a step that is not stored"
                continue
            story, step = self._steps[step_id]
            starts = sum(event.event == "step.started" for event in story.of(step))
            if len(effects) > starts:
                yield f"run {story.run.id} step {step.node_id}: {len(effects)} effects, {starts} starts"
            if len({effect.key for effect in effects}) > story.run.attempt:
                yield f"run {story.run.id} step {step.node_id}: its idempotency key has changed"

    def _no_effect_after_the_end(self) -> Iterator[str]:
        """But for a process that was held up: it does what it was about to do when it wakes, and learns then."""
        held_up = {pid for pid, _ in self._deaths}
        for step_id, effects in self._effects.items():
            story, step = self._steps.get(step_id, (None, None))
            if story is None or step is None or story.run.finished_at is None:
                continue
            end = story.run.finished_at.timestamp()
            late = max((effect.at - end for effect in effects if effect.pid not in held_up), default=0.0)
            if late > STOP_SECONDS:
                yield f"run {story.run.id} step {step.node_id}: an effect {late:.1f} s after it was {story.run.status}"

    def _history(self, story: Story) -> str:
        """All that is known of a run, for whoever has to find out."""
        nodes = {step.id: f"{step.node_id}[{step.index}]" for step in story.steps}
        lines = [f"run {story.run.id}, {story.run.status}"]
        lines += [
            f"  {event.seq} {event.at:%H:%M:%S.%f} {event.event} {nodes.get(event.step_id or '', '')} {event.data}"
            for event in story.events
        ]
        lines += [f"  {effect}" for step in story.steps for effect in self._effects.get(step.id, ())]
        return "\n".join(lines)

    # --- figures -----------------------------------------------------------------------------------------------------

    def _recoveries(self) -> Iterator[float]:
        """From the death of a process to the moment at which a step that it ran has begun again."""
        died = defaultdict(list)
        for pid, moment in self._deaths:
            died[pid].append(moment)
        for story, step in self._steps.values():
            told = story.of(step)
            for before, lost, after in zip(told, told[1:], told[2:], strict=False):
                if lost.data.get("reason") == "worker_lost" and before.event == after.event == "step.started":
                    assert before.at is not None
                    assert after.at is not None
                    began, again = before.at.timestamp(), after.at.timestamp()
                    deaths = [each for each in died[int(before.data["worker"].split(":")[1])] if began <= each <= again]
                    yield from (again - each for each in deaths[:1])

    def _count(self, counts: Counter[str]) -> None:
        counts["runs"] = len(self._stories)
        counts["steps"] = len(self._steps)
        counts["effects"] = sum(map(len, self._effects.values()))
        counts["effects done again"] = sum(
            len(effects) - len({effect.attempt for effect in effects}) for effects in self._effects.values()
        )
        events = [event for story in self._stories for event in story.events]
        counts["steps lost and taken over"] = sum(event.data.get("reason") == "worker_lost" for event in events)
        counts["steps handed back"] = sum(event.data.get("reason") == "handed_back" for event in events)
        counts["poisoned runs"] = sum(self._is_poisoned(token) for token in self._by_token if "/" not in token)
        for word in ("ok", "refused", "unknown"):
            counts[f"told {word}"] = sum(each.word == word for each in self._offered)


def each_was_asked(story: Story) -> bool:
    """Whether the run was asked to end by someone: its history ends so, with that error."""
    return story.events[-1].data.get("error", {}).get("code") == "cancelled"


def compare_with_api(caller: Caller, stories: Sequence[Story], offered: Sequence[Offered]) -> Iterator[str]:
    """The API tells of each accepted run what the database holds."""
    by_id = {_hyphened(story.run.id): story for story in stories}
    for each in offered:
        story = by_id.get(each.run_id or "")
        if story is None:
            continue  # the set test has said so
        answer = caller.ask("GET", f"/v1/runs/{each.run_id}")
        if answer.status != 200:
            yield f"{each.token}: GET /v1/runs/{each.run_id} answers {answer.status}"
            continue
        told, run = answer.data, story.run
        steps = {step["node_id"]: (step["status"], step["attempt"]) for step in told["steps"]}
        stored = {step.node_id: (step.status, step.attempt) for step in story.steps if step.index == -1}
        if (told["status"], told["outputs"], steps) != (run.status, run.outputs, stored):
            yield f"{each.token}: the API says {json.dumps(told)[:500]}, stored is {run.status} {stored}"


def compare_counts(caller: Caller, stories: Sequence[Story]) -> Iterator[str]:
    """The list counts what there is."""
    stored = Counter(story.run.status for story in stories)
    for status in ("completed", "failed", "cancelled"):
        meta: Any = caller.ask("GET", f"/v1/runs?status={status}&page=1&limit=1").body["meta"]
        if meta["total"] != stored[status]:
            yield f"the API counts {meta['total']} {status} runs, stored are {stored[status]}"


def _hyphened(run_id: str) -> str:
    return str(uuid.UUID(run_id))
