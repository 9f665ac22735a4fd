"""One environment per peer, from PyPI and npm by plain names and pinned versions, kept between runs."""

import json
import os
import shutil
import subprocess
import venv
from dataclasses import asdict, dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
INSTALL_SECONDS = 1200.0


class CannotInstall(Exception):
    """This peer cannot be had here; the message says why, in one line."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a peer needs, pinned; what these need in turn is left to pip and npm."""

    python: tuple[str, ...] = ()  # requirements of pip
    node: tuple[str, ...] = ()  # packages of npm, name@version
    overrides: dict[str, str] = field(default_factory=dict)  # npm: version of a package below them
    node_scripts: bool = True  # whether npm may build native parts


def home() -> Path:
    """Where the environments are: FLOWFORGE_BENCH_HOME, else `.bench` in the checkout (git ignores it)."""
    return Path(os.environ.get("FLOWFORGE_BENCH_HOME") or CHECKOUT / ".bench")


def python_of(name: str) -> Path:
    return home() / name / "venv" / "bin" / "python"


def node_modules_of(name: str) -> Path:
    return home() / name / "node_modules"


def install(name: str, recipe: Recipe) -> None:
    """Make the peer's environment, unless it is there already; raises CannotInstall.

    The copy of the recipe that says "installed" is written last: an interrupted installation is simply done again.
    """
    if is_installed(name, recipe):
        return
    folder = home() / name
    print(f"  installing {name} into {folder} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if recipe.python:
        venv.create(folder / "venv", with_pip=True, symlinks=True)
        _run([python_of(name), "-m", "pip", "install", "--quiet", "--no-input", *recipe.python], folder)
    if recipe.node:
        _install_node(folder, name, recipe)
    _mark(name).write_text(_text(recipe))


def is_installed(name: str, recipe: Recipe) -> bool:
    mark = _mark(name)
    return mark.exists() and mark.read_text() == _text(recipe)


def versions(name: str, *distributions: str) -> str:
    """The named Python distributions of a peer's environment, as installed: `dbos 3.4.0, fastapi 0.163.2`."""
    code = """
import sys
from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
"""
    return subprocess.run(
        [python_of(name), "-c", code, *distributions], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def _mark(name: str) -> Path:
    return home() / name / "installed.json"


def _text(recipe: Recipe) -> str:
    return json.dumps(asdict(recipe), sort_keys=True)


def _install_node(folder: Path, name: str, recipe: Recipe) -> None:
    if shutil.which("npm") is None:
        raise CannotInstall("npm is not on the PATH")
    manifest = {"name": f"bench-{name}", "private": True, "overrides": recipe.overrides}
    (folder / "package.json").write_text(json.dumps(manifest))
    scripts = () if recipe.node_scripts else ("--ignore-scripts",)
    _run(["npm", "install", "--no-fund", "--no-audit", "--loglevel=error", *scripts, *recipe.node], folder)


def _run(command: list[str | Path], folder: Path) -> None:
    """Run an installer to its end, bounded in time; what it said last is the reason when it fails."""
    log = folder / "install.log"
    with log.open("ab") as output:
        try:
            done = subprocess.run(
                command, cwd=folder, stdout=output, stderr=output, timeout=INSTALL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotInstall(str(error)) from error
    if done.returncode != 0:
        said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise CannotInstall(f"{Path(command[0]).name}: {said[-1][:200] if said else done.returncode}")
