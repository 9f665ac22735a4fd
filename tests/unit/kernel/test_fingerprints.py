"""Which failures are alike."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.kernel.fingerprints import MAX_CODE, MAX_KEPT, fingerprint_of, normalised

WORKFLOW = uuid.UUID("01981f5e-0000-7000-8000-000000000002")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Row 17 of 20,000 is bad", "Row <n> of <n> is bad"),
        ("took 1.5s, at most 300 ms, -3", "took <n>s, at most <n> ms, <n>"),
        ("no such file: /var/data/2026-01-01/x.csv", "no such file: <path>"),
        (r"cannot open C:\data\x.csv", "cannot open <path>"),
        ("./run.sh and ~/bin/tool and ../up", "<path> and <path> and <path>"),
        ("yes and/or no", "yes and/or no"),
        ("column \"amount\" of 'orders' and `x` and “y”", "column <text> of <text> and <text> and <text>"),
        ("it doesn't work, they're lost", "it doesn't work, they're lost"),
        ("GET https://example.com/a?b=3: 404", "GET <url> <n>"),
        ("run 01981f5e-2a4b-7c3d-8e9f-0a1b2c3d4e5f is gone", "run <id> is gone"),
        ("order ord_93Jf2 and 0xdeadbeef1 fail", "order <id> and <id> fail"),
        ("spread  over\n\tlines ", "spread over lines"),
        ("", ""),
    ],
)
def test_it_works(message: str, expected: str) -> None:
    assert normalised(message) == expected


def test_messages_that_differ_in_particulars_are_alike() -> None:
    one = fingerprint_of(WORKFLOW, {"code": "timeout", "message": "waited 3 s for 'a'"})
    other = fingerprint_of(WORKFLOW, {"code": "timeout", "message": "waited 15 s for 'b'"})
    assert one == other
    assert (one.node_id, one.code, one.message) == ("", "timeout", "waited <n> s for <text>")


def test_of_a_failed_step_its_own_error_counts() -> None:
    cause = {"code": "http_status", "message": "GET: 500"}
    found = fingerprint_of(WORKFLOW, {"code": "step_failed", "message": "…", "step": "fetch", "details": cause})
    assert (found.node_id, found.code, found.message) == ("fetch", "http_status", "GET: <n>")
    bare = fingerprint_of(WORKFLOW, {"code": "step_failed", "message": "x", "step": "fetch", "details": {}})
    assert bare.code == "step_failed"


@pytest.mark.parametrize(
    "other",
    [
        (uuid.UUID(int=1), {"code": "c", "message": "m", "step": "s"}),
        (WORKFLOW, {"code": "d", "message": "m", "step": "s"}),
        (WORKFLOW, {"code": "c", "message": "n", "step": "s"}),
        (WORKFLOW, {"code": "c", "message": "m", "step": "t"}),
        (WORKFLOW, {"code": "c", "message": "m", "step": None}),
    ],
)
def test_each_part_tells_groups_apart(other: tuple[uuid.UUID, dict[str, str]]) -> None:
    assert fingerprint_of(*other).id != fingerprint_of(WORKFLOW, {"code": "c", "message": "m", "step": "s"}).id


def test_its_id_never_changes() -> None:
    """Groups are stored by it: another value would split each of them."""
    found = fingerprint_of(WORKFLOW, {"code": "c", "message": "m", "step": "s"}).id
    assert str(found) == "97e9100e-aeab-8cfd-929e-c6c3ce0ab055"
    assert (found.version, found.variant) == (8, uuid.RFC_4122)


@given(st.text(max_size=5_000), st.text(max_size=300))
def test_anything_fits_the_columns(message: str, code: str) -> None:
    found = fingerprint_of(WORKFLOW, {"code": code, "message": message})
    assert len(found.message) <= MAX_KEPT
    assert len(found.code) <= MAX_CODE


@pytest.mark.parametrize("part", ["a", "/", "1", "'", '"', "a1", "/a", "a://", "~", ".", "a\\", "1.", "é", " "])
def test_no_text_takes_long(part: str) -> None:
    """Whoever writes a message must not be able to stop the engine: 200,000 characters are read as fast as 2,000."""
    assert len(normalised(part * 200_000)) <= MAX_KEPT
