"""The world of REST tests: the identity API, which has something of every kind of endpoint."""

from collections.abc import AsyncIterator

import pytest
from tests.iam.world import World, iam_app

from galerne.db.session import Database
from galerne.kit.clock import ManualClock


@pytest.fixture
async def world(database: Database, clock: ManualClock) -> AsyncIterator[World]:
    """An API with an operator and no customer yet."""
    made = World(iam_app(database, clock), database, clock)
    await made.begin()
    async with made.client:
        yield made
