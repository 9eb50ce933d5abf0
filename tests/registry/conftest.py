"""The registry's API for its tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.registry.api import Platform, platform

from galerne.db.session import Database
from galerne.kit.clock import ManualClock


@pytest.fixture
async def registry(
    database: Database, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Platform]:
    async with platform(database, clock, tmp_path) as opened:
        yield opened
