"""Files of a checkout that outlive it: copied into the first file root, by run and step."""

import json as stdlib_json
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flowforge.core.json import Json
from flowforge.steps.base import Context, Failed
from flowforge.steps.ci import collector
from flowforge.steps.leftovers import remove_tree
from flowforge.steps.process import Limits, run_process

FOLDER: Final = "artifacts"  # under the file root
MAX_PATH_BYTES: Final = 300

_MAX_ANSWER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """How much of a step is kept at most."""

    max_files: int = 500  # they are listed in its output
    max_bytes: int = 2 * 1024**3


CAPS: Final = Caps()


class NotKept(Exception):
    """The step fails with `failed`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failed = Failed(code=code, message=message, retryable=False)


def keep(
    patterns: Sequence[str], context: Context, scratch: Path, *, folder: Path, caps: Caps = CAPS
) -> list[dict[str, Json]]:
    """Copy what the patterns name; `{path, size, sha256, url}` of each file.

    Another attempt's files are replaced, as a whole. Raises NotKept, StepCancelled, and what run_process raises.
    """
    final = _place(context)
    part = final.with_name(f".{final.name}-{secrets.token_hex(8)}")
    part.mkdir(mode=0o700)
    try:
        files = _collected(patterns, context, scratch, folder=folder, target=part, caps=caps)
        remove_tree(os.fspath(final))
        part.rename(final)
    finally:
        remove_tree(os.fspath(part))
    return [{**file, "url": (final / file["path"]).as_uri()} for file in files]


def _place(context: Context) -> Path:
    """Where the step's files will be; the folder above it exists."""
    if not context.settings.file_roots:
        raise NotKept("artifacts_unavailable", "There is no file root here in which artifacts could be kept.")
    root = context.settings.file_roots[0].resolve()
    run = root / FOLDER / context.run_id
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    if run.resolve() != run:  # whatever may write to the root may have put a link there
        raise NotKept("artifacts_unavailable", "The folder of the artifacts leads elsewhere.")
    return run / (context.node_id if context.index is None else f"{context.node_id}.{context.index}")


def _collected(
    patterns: Sequence[str], context: Context, scratch: Path, *, folder: Path, target: Path, caps: Caps
) -> list[dict[str, Any]]:
    request = {
        "folder": os.fspath(folder),
        "target": os.fspath(target),
        "patterns": list(patterns),
        "max_files": caps.max_files,
        "max_bytes": caps.max_bytes,
        "max_path_bytes": MAX_PATH_BYTES,
    }
    result = run_process(
        [sys.executable, "-I", "-S", collector.__file__],
        context=context,
        scratch=scratch,
        stdin=stdlib_json.dumps(request).encode(),
        limits=Limits(memory_bytes=context.settings.process_memory_bytes),
        max_result_bytes=_MAX_ANSWER_BYTES,
    )
    answer = stdlib_json.loads(result.result) if result.result else {}
    if "files" not in answer:
        message = answer.get("message", f"the copying ended with {result.reason}")
        raise NotKept(answer.get("code", "artifacts_failed"), f"Artifacts not kept: {message}.")
    _tell(answer, context)
    found: list[dict[str, Any]] = answer["files"]
    return found


def _tell(answer: dict[str, Any], context: Context) -> None:
    for path, reason in answer["left_out"]:
        context.log("warning", f"artifact left out: {path}: {reason}")
    for pattern in answer["unmatched"]:
        context.log("warning", f"no artifact matches {pattern!r}")
    context.log("info", f"kept {len(answer['files'])} artifacts")
