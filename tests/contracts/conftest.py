"""The drivers under contract, each with its harness."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contracts.driver_harness import FakeHarness, Harness, LocalHarness, Until, until

from galerne.drivers.base import Observation, Phase


@pytest.fixture(params=["fake", "local"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """Each driver in turn."""
    if request.param == "fake":
        yield FakeHarness(tmp_path)
        return
    local = LocalHarness(tmp_path)
    yield local
    await local.close()


@pytest.fixture(name="until")
def until_fixture(harness: Harness) -> Until:
    """Wait for a phase, or for what a function wants."""

    async def wait(handle: str, wanted: object) -> Observation:
        if isinstance(wanted, Phase):
            return await until(harness, handle, lambda o: o.phase is wanted)
        assert callable(wanted)
        return await until(harness, handle, wanted)

    return wait
