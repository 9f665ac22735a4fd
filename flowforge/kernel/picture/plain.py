"""The layout as JSON, for canvases that draw themselves."""

from collections.abc import Mapping

from flowforge.core.json import Json
from flowforge.kernel.definition import Definition
from flowforge.kernel.layout import layout


def to_json(definition: Definition, states: Mapping[str, str] | None = None) -> dict[str, Json]:
    """`{nodes: [{id, name, type, state, layer, order, x, y, width, height}], edges: [{source, target, on, when,
    points: [[x, y], …]}], width, height}`; pixels, y downwards; `state` is null without `states`."""
    drawn = layout(definition)
    return {
        "nodes": [
            {
                "id": node.id,
                "name": node.name,
                "type": node.type,
                "state": (states or {}).get(node.id),
                "layer": place.layer,
                "order": place.order,
                "x": place.x,
                "y": place.y,
                "width": place.width,
                "height": place.height,
            }
            for node, place in zip(definition.nodes, drawn.nodes, strict=True)
        ],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "on": edge.on,
                "when": edge.when,
                "points": [list(point) for point in route.points],
            }
            for edge, route in zip(definition.edges, drawn.routes, strict=True)
        ],
        "width": drawn.width,
        "height": drawn.height,
    }
