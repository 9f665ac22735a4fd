"""Lines to the log, the end to the output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.steps import output
from flowforge.steps.output import LogBudget, Stream


class Recorder:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.stream = Stream("info", LogBudget(lambda level, line: self.lines.append((level, line))))

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.lines]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_it_works(recorder: Recorder) -> None:
    recorder.stream.feed(b"one\ntw")
    assert recorder.texts == ["one"]
    recorder.stream.feed(b"o\r\n\nlast")
    assert recorder.stream.finish() == "one\ntwo\r\n\nlast"
    assert recorder.texts == ["one", "two", "", "last"]


def test_it_rejects_what_no_database_stores(recorder: Recorder) -> None:
    recorder.stream.feed(b"a\0b\xff\n")
    assert recorder.texts == ["a�b�"]


def test_a_long_line_is_cut(recorder: Recorder) -> None:
    for _ in range(3):
        recorder.stream.feed(b"x" * 5_000)
    recorder.stream.feed(b"\nnext\n")
    assert recorder.texts == ["x" * output.MAX_LINE_BYTES + " [cut]", "next"]


def test_the_log_is_bounded_in_bytes_over_all_streams() -> None:
    lines: list[str] = []
    budget = LogBudget(lambda _, line: lines.append(line))
    streams = Stream("info", budget), Stream("warning", budget)
    for _ in range(100):
        for stream in streams:
            stream.feed(b"y" * 8_000 + b"\n")
    assert lines[-1] == "output over the log's limit: the rest is not logged"
    assert lines.count(lines[-1]) == 1
    assert len(lines) - 1 == output.MAX_LOG_BYTES // 8_000


def test_the_tail_does_not_begin_inside_a_character(recorder: Recorder) -> None:
    recorder.stream.feed("ä".encode() * output.TAIL_BYTES + b".")
    tail = recorder.stream.finish()
    assert set(tail) == {"ä", "."}
    assert len(tail.encode()) == output.TAIL_BYTES - 1


@given(st.lists(st.binary(max_size=40)))
def test_chunks_make_no_difference(chunks: list[bytes]) -> None:
    in_chunks, at_once = Recorder(), Recorder()
    for chunk in chunks:
        in_chunks.stream.feed(chunk)
    at_once.stream.feed(b"".join(chunks))
    assert in_chunks.stream.finish() == at_once.stream.finish()
    assert in_chunks.texts == at_once.texts
