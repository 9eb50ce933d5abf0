"""The platform that stories are told on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.scenarios.cloud import Cloud, cloud

from galerne.kit.clock import ManualClock


@pytest.fixture
async def world(database_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Cloud]:
    """A platform on a database of the test's own, with an operator and three sites."""
    async with cloud(database_url, tmp_path, clock) as made:
        yield made
