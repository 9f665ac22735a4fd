"""JSON Schema 2020-12, safe for schemas that clients write: no remote references, bounded in size and in work.

`compile_schema(schema).faults(instance)` checks, `apply_defaults(schema, instance)` fills in what is missing.
"""

from flowforge.core.jsonschema.defaults import apply_defaults
from flowforge.core.jsonschema.references import SchemaError
from flowforge.core.jsonschema.validator import Validator, compile_schema

__all__ = ["SchemaError", "Validator", "apply_defaults", "compile_schema"]
