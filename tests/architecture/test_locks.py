"""The locks: what requirements/*.in ask for is pinned and hashed, at one version everywhere, from no named index."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.sources import CHECKOUT

FOLDER = CHECKOUT / "requirements"
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+))? \\$", re.MULTILINE)


def pins(name: str) -> set[tuple[str, Version, str]]:
    """(package, version, marker) of a lock."""
    found = PIN.finditer((FOLDER / f"{name}.txt").read_text())
    return {(canonicalize_name(pin["name"]), Version(pin["version"]), (pin["marker"] or "").strip()) for pin in found}


def wanted(name: str) -> list[Requirement]:
    lines = [line.partition("#")[0].strip() for line in (FOLDER / f"{name}.in").read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize("name", ["base", "dev"])
def test_it_works(name: str) -> None:
    versions: dict[str, list[Version]] = {}
    for package, version, _ in pins(name):
        versions.setdefault(package, []).append(version)
    stale = [
        str(requirement)
        for requirement in wanted(name)
        if not versions.get(canonicalize_name(requirement.name))
        or not all(requirement.specifier.contains(v) for v in versions[canonicalize_name(requirement.name)])
    ]
    assert stale == [], "make lock"


def test_the_whole_of_base_is_in_dev() -> None:
    """One environment serves both: what runs is what was tested."""
    assert pins("base") - pins("dev") == set()


@pytest.mark.parametrize("name", ["base", "dev"])
def test_every_pin_has_hashes_and_no_line_an_address(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    assert [entry.split()[0] for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []
    assert "://" not in text
