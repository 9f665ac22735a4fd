"""A home of its own for each test: what one sweeps is no other's, whichever runs beside it."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _own_home(settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path / "home"
