"""What several tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real weights, pictures and upstream's outputs; tests that need it are skipped without it."""
    folder = Path(os.environ.get("QCORE_SHARED") or ROOT.parent / "shared")
    if not (folder / "assets").is_dir():
        pytest.skip(
            "real weights and pictures are not here: set QCORE_SHARED to the folder that holds assets/ and reference/"
        )
    return folder
