"""What every test may ask for."""

import os
from pathlib import Path

import pytest

from missing import miss

# No test loads anything from the Hub: a name that is nowhere fails at once instead of being asked for again.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# As muybridge has it; tests import torch first, and their processes share a few processors.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips beside the checkout; tests that use it skip where it is absent, except in CI."""
    folder = Path(os.environ.get("MUYBRIDGE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        miss(f"there is no {folder}; set MUYBRIDGE_DATA to the folder of real clips")
    return folder
