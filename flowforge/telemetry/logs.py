"""One line of JSON for each log record, so that nothing a client sends can forge, split or colour a line."""

import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

from flowforge.telemetry import trace

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# orjson escapes C0 controls itself (RFC 8259); these pass JSON but forge lines or turn text around in a terminal:
# DEL, C1 controls (NEL among them), line and paragraph separators, bidirectional marks (Trojan Source, CVE-2021-42574)
_HARMFUL = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
}


class LineFormatter(logging.Formatter):
    """`{"at", "level", "logger", "message", "trace_id"?, "error"?, …extra}` on one line, harmless characters only."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        here = trace.current()
        if here is not None:
            entry["trace_id"] = here.trace_id
        entry.update((name, value) for name, value in vars(record).items() if name not in _STANDARD)
        if record.exc_info and record.exc_info[0] is not None:
            entry["error"] = "".join(traceback.format_exception(*record.exc_info))
        return _line(entry)


def _line(entry: dict[str, Any]) -> str:
    options = orjson.OPT_NON_STR_KEYS
    try:
        raw = orjson.dumps(entry, default=repr, option=options)
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        raw = orjson.dumps({name: ascii(value) for name, value in entry.items()}, option=options)
    line = raw.decode()
    return line if line.isascii() and "\x7f" not in line else line.translate(_HARMFUL)
