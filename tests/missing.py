"""What a test does that lacks what it needs."""

import os
from typing import NoReturn

import pytest


def miss(reason: str) -> NoReturn:
    """Skips the test, and says why; where everything must be there, fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
