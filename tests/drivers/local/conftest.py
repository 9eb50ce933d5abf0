"""A laboratory per test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.drivers.local.lab import Lab

from galerne.drivers.local.discovery import Platform


@pytest.fixture(scope="session")
def found() -> Platform:
    """What this machine lets a driver use; found once."""
    return Platform.detect()


@pytest.fixture
async def lab(tmp_path: Path, found: Platform) -> AsyncIterator[Lab]:
    """A local driver with everything this machine has."""
    lab = Lab(tmp_path, platform=found)
    yield lab
    await lab.close()


@pytest.fixture
def sandboxed(found: Platform) -> None:
    """Skip where bubblewrap does not work: what a test claims is then not claimed by the driver."""
    if found.tools.bubblewrap is None:
        pytest.skip("bubblewrap does not work on this machine")


@pytest.fixture
def limited(found: Platform) -> None:
    """Skip where there are no control groups: what a test claims is then not claimed by the driver."""
    if found.cgroups is None:
        pytest.skip("no control groups on this machine")
