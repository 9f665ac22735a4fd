"""Write the locks anew: `python requirements/lock.py [--upgrade]`.

Every version pinned, every file hashed, no index named: pip asks where its own configuration says.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
OPTIONS = ("--universal", "--python-version=3.11", "--generate-hashes", "--no-emit-index-url", "--no-header", "--quiet")


def main(*arguments: str) -> None:
    """dev first, then base held to the same versions: one environment serves both."""
    compile_lock("dev", *arguments)
    compile_lock("base", "--constraint=requirements/dev.txt", *arguments)


def compile_lock(name: str, *arguments: str) -> None:
    files = (f"requirements/{name}.in", f"--output-file=requirements/{name}.txt")
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, *arguments, *files], cwd=FOLDER.parent, check=True
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
