"""The sample files that workflows of the gallery read, put where steps may read files."""

import shutil
from pathlib import Path
from typing import Final

from workflows.services.gallery import FOLDER

SAMPLES: Final = FOLDER / "samples"


def place_samples(file_roots: list[Path]) -> list[Path]:
    """Copy those that are missing into `samples/` of the first root; the files that were written.

    A file that is there stays as it is. Raises OSError.
    """
    if not file_roots:
        return []
    folder = file_roots[0] / SAMPLES.name
    missing = [path for path in sorted(SAMPLES.iterdir()) if not (folder / path.name).exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(path, folder / path.name)) for path in missing]
