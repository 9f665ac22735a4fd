"""How much work a schema can make of a small instance, found before any instance is checked.

Through `$ref` a schema of a few lines can ask for 2^40 evaluations ("billion laughs"), for which no validator has a
budget. Here is the number of evaluations along one path of an instance, by its depth; a schema without references
does no more work than it has text.
"""

from collections import defaultdict
from typing import Final

from flowforge.core.jsonschema.references import Resolver, Schema, SchemaError, applied

MAX_DEPTH: Final = 64  # no document that the service reads nests deeper
MAX_WORK: Final = 10_000  # evaluations along one path of an instance
_MAX_PARTS: Final = 20_000
_MAX_MEMBERS: Final = 100_000  # keys that all schemas together say something of, through what they refer to

_Steps = list[tuple[str | None, int]]  # (key as in `applied`, id of the schema)


def allowed_depth(root: Schema) -> int | None:
    """The depth of instances that `root` checks within MAX_WORK; None: any.

    Raises SchemaError on references that cannot be followed, that go round without a step into the instance, or
    that are too much work for even a flat instance.
    """
    steps = _collect(root)
    order = _in_place_order(steps)
    work = dict.fromkeys(steps, 1)  # at depth -1 nothing is evaluated yet; one a part is an upper bound
    for depth in range(MAX_DEPTH + 1):
        following = _deeper(steps, order, work)
        if following[id(root)] > MAX_WORK:
            if depth == 0:
                raise SchemaError("the schema's references multiply beyond measure", code="too_complex")
            return depth - 1
        if following == work:
            return None
        work = following
    return MAX_DEPTH


def _collect(root: Schema) -> dict[int, _Steps]:
    """Each schema that checking can reach, with what it applies."""
    resolver = Resolver(root)
    found: dict[int, _Steps] = {}
    stack: list[Schema] = [root]
    while stack:
        schema = stack.pop()
        if id(schema) in found:
            continue
        if len(found) >= _MAX_PARTS:
            raise SchemaError(f"a schema has at most {_MAX_PARTS} parts", code="too_complex")
        parts = list(applied(schema))
        target = resolver.target(schema)
        if target is not None:
            parts.append((None, target))
        found[id(schema)] = [(key, id(part)) for key, part in parts]
        stack.extend(part for _, part in parts)
    return found


def _in_place_order(steps: dict[int, _Steps]) -> list[int]:
    """The schemas so that each comes after all that it applies to the same instance. Raises SchemaError on a circle."""
    users: dict[int, list[int]] = defaultdict(list)
    missing = dict.fromkeys(steps, 0)
    for schema, parts in steps.items():
        for key, part in parts:
            if key is None:
                users[part].append(schema)
                missing[schema] += 1
    order = [schema for schema, count in missing.items() if not count]
    for schema in order:
        for user in users[schema]:
            missing[user] -= 1
            if not missing[user]:
                order.append(user)
    if len(order) < len(steps):
        raise SchemaError("a $ref leads back to itself", code="circular_reference")
    return order


def _deeper(steps: dict[int, _Steps], order: list[int], work: dict[int, int]) -> dict[int, int]:
    """Work by schema along the costliest path of instances one level deeper than those of `work`."""
    here: dict[int, int] = {}
    members: dict[int, dict[str, int]] = {}
    size = 0
    for schema in order:
        count = 1
        keys: dict[str, int] = defaultdict(int)
        for key, part in steps[schema]:
            if key is None:
                count += here[part]
                for name, amount in members[part].items():
                    keys[name] += amount
            else:
                keys[key] += work[part]
        here[schema] = min(count, MAX_WORK + 1)
        members[schema] = keys
        size += len(keys)
        if size > _MAX_MEMBERS:
            raise SchemaError("the schema's references multiply beyond measure", code="too_complex")
    return {schema: min(here[schema] + _costliest(keys), MAX_WORK + 1) for schema, keys in members.items()}


def _costliest(keys: dict[str, int]) -> int:
    """Work of the costliest member; what applies to any member applies to that one too."""
    return keys.get("*", 0) + max((work for key, work in keys.items() if key != "*"), default=0)
