"""A window of compute becomes usage records exactly once, with its energy beside it."""

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select
from tests.metering.records import LABEL, NOON
from tests.metering.sites import add_site

from galerne.catalog.intensity import carbon_factor
from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock
from galerne.metering.usage.models import UsageRecord
from galerne.metering.usage.service import UsageService
from galerne.metering.usage.tasks import TOPIC_COMPUTE, ComputeUsage
from galerne.worker.outbox import Message

SYSTEM = Scope.system()


def message(**changes: Any) -> Message:
    """Return a minute of one core and a gibibyte, unless told otherwise."""
    payload = {
        "source_id": "att_1:0",
        "organization_id": "org_one",
        "project_id": "prj_one",
        "workload_id": "job_one",
        "workload_kind": "job",
        "site_id": None,
        "started_at": "2026-11-22T11:59:00+00:00",
        "ended_at": NOON.isoformat(),
        "cpu_nanoseconds": 60 * 10**9,
        "memory_byte_seconds": 60 * 2**30,
        "accelerator_type": None,
        "accelerator_milliseconds": 0,
        "energy_microjoules": None,
        "energy_method": None,
        "label": LABEL,
    }
    return Message("out_1", TOPIC_COMPUTE, payload | changes, NOON)


async def record(database: Database, clock: ManualClock, *messages: Message) -> None:
    handler = ComputeUsage(clock)
    for each in messages:
        async with database.write(SYSTEM) as session:
            await handler.record_compute(session, each)


async def quantities(database: Database) -> dict[str, int]:
    async with database.read(SYSTEM) as session:
        rows = await session.execute(select(UsageRecord.source_id, UsageRecord.quantity))
        return {row.source_id: row.quantity for row in rows}


class TestRecordCompute:
    async def test_one_record_a_meter(self, database: Database, clock: ManualClock) -> None:
        """A window leaves one record for each meter that it moved and one for its energy."""
        await record(
            database,
            clock,
            message(accelerator_type="NVIDIA B200", accelerator_milliseconds=120_000),
        )

        assert await quantities(database) == {
            "att_1:0/cpu_milliseconds": 60_000,
            "att_1:0/memory_mebibyte_seconds": 60 * 1024,
            "att_1:0/accelerator_milliseconds": 120_000,
            # 3.5 W, 0.392 W a GB and two times 1,000 W for a minute.
            "att_1:0/energy": round((3.5 + 0.392 * 2**30 / 1e9 + 2000) * 1e6 / 60),
        }

    async def test_twice(self, database: Database, clock: ManualClock) -> None:
        """The same message handled again, by whatever accident, changes nothing."""
        await record(database, clock, message(), message())

        assert len(await quantities(database)) == 3
        async with database.read(SYSTEM) as session:
            assert not await UsageService(session, clock).refusals(limit=1)

    async def test_energy_is_on_one_record(self, database: Database, clock: ManualClock) -> None:
        """Energy stands on the record of its meter alone, so that no sum counts it twice."""
        async with database.write(SYSTEM) as session:
            site_id = await add_site(session, clock, pue_milli=1500)
        factor = carbon_factor("FRA", NOON)
        assert factor is not None
        reading = {"energy_microjoules": 3600 * 10**6, "energy_method": "measured"}
        await record(database, clock, message(site_id=site_id, **reading))
        async with database.read(SYSTEM) as session:
            rows = (await session.scalars(select(UsageRecord))).all()
            (energy,) = [row for row in rows if row.energy_microwatt_hours is not None]

            assert energy.meter == "energy"
            assert energy.quantity == energy.energy_microwatt_hours == 1_500_000
            assert energy.energy_method == "measured"
            assert energy.energy_note is not None
            assert "times the PUE of essonne-1, 1.5" in energy.energy_note
            assert energy.carbon_micrograms == factor.micrograms(1_500_000)
            assert {row.site_id for row in rows} == {site_id}
            assert all(row.label == LABEL for row in rows)

    async def test_reading_without_method(self, database: Database, clock: ManualClock) -> None:
        """A figure whose method nobody stated is not called measured."""
        await record(database, clock, message(energy_microjoules=3600, energy_method=None))
        async with database.read(SYSTEM) as session:
            method = await session.scalar(
                select(UsageRecord.energy_method).where(UsageRecord.meter == "energy")
            )

        assert method == "estimated"

    async def test_unknown_site(self, database: Database, clock: ManualClock) -> None:
        """Use at a site that is gone is recorded all the same; its energy has no PUE and no carbon."""
        await record(database, clock, message(site_id="site_gone"))
        async with database.read(SYSTEM) as session:
            energy = await session.scalar(select(UsageRecord).where(UsageRecord.meter == "energy"))

            assert energy is not None
            assert energy.carbon_micrograms is None
            assert "without a PUE" in (energy.energy_note or "")
        assert len(await quantities(database)) == 3

    async def test_accelerator_without_type(self, database: Database, clock: ManualClock) -> None:
        """What cannot be priced is refused and kept; the rest of the window is recorded."""
        await record(database, clock, message(accelerator_milliseconds=1000))
        async with database.read(SYSTEM) as session:
            (refusal,) = await UsageService(session, clock).refusals(limit=10)

            assert refusal.code == "usage_selector_missing"
            assert refusal.record["quantity"] == 1000
        assert "att_1:0/cpu_milliseconds" in await quantities(database)

    async def test_nothing_used(self, database: Database, clock: ManualClock) -> None:
        """A window in which nothing was used leaves no record."""
        await record(database, clock, message(cpu_nanoseconds=0, memory_byte_seconds=0))

        assert await quantities(database) == {}

    @pytest.mark.parametrize(
        "change",
        [
            {"cpu_nanoseconds": -1},
            {"cpu_nanoseconds": "many"},
            {"started_at": "2026-11-22T11:59:00"},
            {"energy_method": "guessed"},
            {"surprise": 1},
        ],
    )
    async def test_not_a_window(
        self, database: Database, clock: ManualClock, change: dict[str, Any]
    ) -> None:
        """A payload that is not a window raises, so that the outbox keeps it and shows why."""
        with pytest.raises(ValidationError):
            await record(database, clock, message(**change))
        assert await quantities(database) == {}
