"""A definition as a picture, coloured by the states of a run's steps: SVG, Mermaid text, or JSON for a canvas.

`states`: step status by node id, of any of the nodes; None: a picture of the definition alone.
"""

from flowforge.kernel.picture.mermaid import to_mermaid
from flowforge.kernel.picture.plain import to_json
from flowforge.kernel.picture.svg import to_svg

__all__ = ["to_json", "to_mermaid", "to_svg"]
