"""The package that docs/how-to-add-a-step-type.md walks through: it is on the page as it is, and it works."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowforge.steps.base import Completed, Failed, StepCancelled, StepType
from flowforge.steps.registry import Registry
from tests.support.steps import Attempt

CHECKOUT = Path(__file__).parents[3]
PAGE = CHECKOUT / "docs" / "how-to-add-a-step-type.md"
PACKAGE = CHECKOUT / "tests" / "packages" / "my-steps"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPES = {"shout": "Shout", "wait_for_file": "WaitForFile"}


@pytest.fixture(params=TYPES)
def step_type(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StepType:
    monkeypatch.syspath_prepend(PACKAGE / "src")
    found: StepType = getattr(importlib.import_module(f"my_steps.{request.param}"), TYPES[request.param])()
    return found


def shown() -> Iterator[tuple[str, str]]:
    """(path, content) of the files on the page."""
    for kind, text in BLOCK.findall(PAGE.read_text()):
        head, _, rest = text.partition("\n")
        if kind in ("python", "toml"):
            yield head.removeprefix("# "), rest


def test_it_works() -> None:
    """All of the package is on the page, to the letter."""
    files = (path for path in PACKAGE.rglob("*.*") if path.suffix in (".py", ".toml") and path.name != "__init__.py")
    assert dict(shown()) == {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in files}


def test_its_types_are_step_types(step_type: StepType, monkeypatch: pytest.MonkeyPatch) -> None:
    name = step_type.name
    registry = Registry([step_type])
    (document,) = [yaml.safe_load(text) for kind, text in BLOCK.findall(PAGE.read_text()) if kind == "yaml"]
    assert f'{name} = "my_steps.{name}:{TYPES[name]}"' in (PACKAGE / "pyproject.toml").read_text()
    assert [registry.faults(name, node["config"]) for node in document["nodes"] if node["type"] == name] == [[]]


@pytest.mark.parametrize("step_type", ["shout"], indirect=True)
def test_shouting(step_type: StepType, tmp_path: Path) -> None:
    assert Registry([step_type]).faults("shout", {"text": 3})[0].pointer == "/text"
    assert Attempt(home=tmp_path).run(step_type, {"text": "hello"}) == Completed(output="HELLO")


@pytest.mark.parametrize("step_type", ["wait_for_file"], indirect=True)
class TestWaitingForAFile:
    @pytest.fixture
    def attempt(self, tmp_path: Path) -> Attempt:
        (tmp_path / "files").mkdir()
        return Attempt(home=tmp_path, file_roots=[tmp_path / "files"])

    def test_it_works(self, step_type: StepType, attempt: Attempt, tmp_path: Path) -> None:
        def arrive(level: Any, message: str) -> None:
            (tmp_path / "files" / "a").write_text("four")

        attempt.log = arrive  # type: ignore[method-assign]  # it waits once it has said so
        assert attempt.run(step_type, {"path": "a", "every": 0.01}) == Completed(output={"size": 4})

    def test_it_stops_when_told_to(self, step_type: StepType, attempt: Attempt) -> None:
        attempt.cancel_after("waiting for a")
        with pytest.raises(StepCancelled, match="cancelled"):
            attempt.run(step_type, {"path": "a", "every": 600})

    def test_it_rejects_other_folders(self, step_type: StepType, attempt: Attempt) -> None:
        (fault,) = Registry([step_type]).faults("wait_for_file", {"path": "/etc/passwd"})
        assert (fault.pointer, fault.code) == ("/path", "absolute_path")
        outcome = attempt.run(step_type, {"path": "../../etc/passwd"})
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.retryable) == ("path_refused", False)
