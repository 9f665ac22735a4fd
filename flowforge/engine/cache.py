"""`node.cache`: looking for an output before a step runs, and keeping it afterwards."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import DatabaseError

from flowforge.core import clock, json
from flowforge.engine.outcomes import MAX_OUTPUT_BYTES
from flowforge.engine.plan import Plan
from flowforge.engine.store.rows import ClaimedRun
from flowforge.kernel.definition import Node
from flowforge.steps.base import Completed
from runs.services.cache import CacheKey, cached_output, keep_output

log = logging.getLogger("flowforge.engine")


class Cached:
    """The place in the cache of one step. That the cache is out of reach fails no step: it runs."""

    def __init__(self, key: CacheKey, ttl_seconds: float) -> None:
        self._key = key
        self._ttl = timedelta(seconds=ttl_seconds)

    @classmethod
    def of(cls, run: ClaimedRun, plan: Plan, node: Node, scope: Mapping[str, Any]) -> "Cached | None":
        """None of a step that is not cached. Raises ExpressionError."""
        template = plan.cache_key(node)
        if node.cache is None or template is None:
            return None
        key = CacheKey.of(run.workflow_id, node.type, node.config, template.render(scope))
        return cls(key, node.cache.ttl_seconds)

    def find(self) -> Completed | None:
        try:
            found = cached_output(self._key, clock.now())
        except DatabaseError as error:
            log.warning("cache: not read: %s", error)
            return None
        return None if found is None else Completed(output=found[0], branch=found[1])

    def keep(self, outcome: Completed) -> None:
        """What could not be stored with the step is not kept here either."""
        output, _ = json.sanitize(outcome.output)
        if len(json.dumps(output)) > MAX_OUTPUT_BYTES:
            return
        try:
            keep_output(self._key, output=output, branch=outcome.branch, expires_at=clock.now() + self._ttl)
        except DatabaseError as error:
            log.warning("cache: not kept: %s", error)
