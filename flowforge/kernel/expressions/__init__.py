"""The expressions of definitions: Jinja's syntax, read by Jinja's parser, evaluated by our own closures over JSON.

    compile_expression("inputs.total > 100").evaluate({"inputs": {"total": 120}})   # True
    compile_template({"url": "https://…/{{ inputs.day }}"}).render(scope)

docs/expressions.md describes the language. From the outside in: `template` → `expression` → `parser` (text to tree),
`compiler` (tree to `closures`), `operators` and `filters` (what closures call), `values` and `budget` (data and cost).
"""

from flowforge.kernel.expressions import filters as _filters  # noqa: F401 -- registers what it offers
from flowforge.kernel.expressions.errors import ExpressionError
from flowforge.kernel.expressions.expression import Expression, compile_expression
from flowforge.kernel.expressions.references import Reference
from flowforge.kernel.expressions.template import Template, TextTemplate, compile_template, faults
from flowforge.kernel.expressions.values import truthy

__all__ = [
    "Expression",
    "ExpressionError",
    "Reference",
    "Template",
    "TextTemplate",
    "compile_expression",
    "compile_template",
    "faults",
    "truthy",
]
