"""What several step types are tested against."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import git_server
from tests.support.git_server import GitServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A git server on the loopback, with no repository yet."""
    (tmp_path / "repositories").mkdir()
    with git_server.serve(tmp_path / "repositories") as found:
        yield found
