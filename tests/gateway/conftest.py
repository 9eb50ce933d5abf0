"""A gateway with one model on one fake replica."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.gateway.harness import RunningGateway, model_of, replica_of, running, snapshot_of

from galerne.gateway.settings import GatewaySettings
from galerne.runtimes.fake.server import FakeOptions, FakeServer


@pytest.fixture
def settings(tmp_path: Path) -> GatewaySettings:
    return GatewaySettings(
        journal_directory=tmp_path / "journal",
        tick_seconds=0.02,
        ship_interval_seconds=0.02,
        snapshot_refresh_seconds=0.02,
        shutdown_grace_seconds=2,
    )


@pytest.fixture
async def fake() -> AsyncIterator[FakeServer]:
    async with FakeServer(FakeOptions(tokens=8)) as server:
        yield server


@pytest.fixture
async def gateway(fake: FakeServer, settings: GatewaySettings) -> AsyncIterator[RunningGateway]:
    """A gateway with one model on one fake replica."""
    async with running(snapshot_of(model_of(replica_of(fake))), settings) as started:
        yield started
