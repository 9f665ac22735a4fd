"""Explanations and limits as clients see them."""

from flowforge.core.json import Json
from flowforge.engine.explain import Explanation
from flowforge.engine.limits import Limit
from flowforge.engine.obstacles import Obstacle


def explanation(found: Explanation) -> dict[str, Json]:
    return {"summary": found.summary, "causes": [_cause(each) for each in found.causes]}


def limit(found: Limit) -> dict[str, Json]:
    kind, owner = found.scope
    return {
        "kind": found.kind,
        "scope": {"type": kind, "id": owner},
        "key": found.key,
        "limit": found.limit,
        "occupied": found.occupied,
        "waiting": found.waiting,
        "holders": [{"type": each.type, "id": each.id, "since": each.since} for each in found.holders],
        "free_at": found.free_at,
    }


def _cause(found: Obstacle) -> dict[str, Json]:
    holder = None if found.holder is None else {"type": found.holder[0], "id": found.holder[1]}
    return {
        "code": found.code,
        "message": found.message,
        "holder": holder,
        "since": found.since,
        "until": found.until,
        "position": found.position,
        "step": found.step,
        "unblock": list(found.unblock),
    }
