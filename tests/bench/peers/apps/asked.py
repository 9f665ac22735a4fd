"""A process that does what it is asked on its standard input: for engines that are driven by calls of a library.

One JSON list a line, `["chain", 40]`; the answer is a line of JSON: `{"value": 0.06}` or `{"error": "…"}`.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any


def answer(functions: Mapping[str, Callable[..., Any]]) -> None:
    """Until the standard input ends; what libraries print goes to the log instead."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            found = {"value": functions[name](*arguments)}
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(found) + "\n")
        answers.flush()
