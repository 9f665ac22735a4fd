"""Entity tags (RFC 9110, 8.8.3 and 13.1)."""

import pytest

from flowforge.api import http
from flowforge.core.errors import PreconditionFailed

TAG = http.etag({"a": 1})


def test_it_works():
    assert http.etag({"b": [1], "a": 2}) == http.etag({"a": 2, "b": [1]})
    assert http.etag({"a": 1}) != http.etag({"a": 2})
    assert TAG.startswith('"')
    http.require_match(TAG, {"a": 1})
    http.require_match(None, {"a": 1})


@pytest.mark.parametrize("header", ['"x"', f"W/{TAG}", "", "x", TAG[:-1], f"{TAG}x", '""', TAG.strip('"')])
def test_it_rejects_a_header_that_does_not_name_the_state(header):
    with pytest.raises(PreconditionFailed):
        http.require_match(header, {"a": 1})


@pytest.mark.parametrize("header", [f'"x", {TAG}', f'{TAG},"x"', f'"a,b" , {TAG}', "*", " * ", TAG[:-1] + '-gzip"'])
def test_lists_stars_and_codings_match_strongly(header):
    assert http.matched_strongly(header, TAG)


def test_weak_tags_match_weakly_alone():
    assert http.matched_weakly(f"W/{TAG}", TAG) == TAG
    assert not http.matched_strongly(f"W/{TAG}", TAG)
    assert http.matched_weakly('"x"', TAG) is None
