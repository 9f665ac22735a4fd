"""The document is made fit for programs that read it strictly."""

import pytest

from flowforge.api.openapi_tidy import tidied

NULL = {"type": "null"}


def test_it_works():
    untidy = {"a": [{"type": ["object", "null", "null"], "oneOf": [{}, NULL], "description": "text"}]}
    assert tidied(untidy) == {"a": [{"type": ["object", "null"], "description": "text"}]}


@pytest.mark.parametrize(
    "node", [{"oneOf": [{"type": "string"}, NULL]}, {"type": "string"}, {"type": ["string", "null"]}, {}, [], "x", 3]
)
def test_it_rejects_to_change_what_is_tidy(node):
    assert tidied(node) == node
