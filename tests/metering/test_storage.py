"""Storage is metered by whole hours, each artifact once an hour, also after a pause."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.metering.records import LABEL, NOON, ORGANIZATION, PROJECT

from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock
from galerne.metering.storage import HOURS_PER_PASS_MAX, StorageMeter, Stored, storage_record
from galerne.metering.usage.models import UsageRecord

GIBIBYTE = Stored("art_1", ORGANIZATION, PROJECT, 2**30, NOON, LABEL)


@dataclass
class Shelf:
    """What is kept, as the test says."""

    kept: Sequence[Stored]

    async def stored(self, session: AsyncSession) -> Sequence[Stored]:
        del session
        return self.kept


async def recorded(database: Database) -> tuple[int, int]:
    async with database.read(Scope.system()) as session:
        count, total = (
            await session.execute(select(func.count(), func.sum(UsageRecord.quantity)))
        ).one()
        return count, int(total or 0)


class TestStorageRecord:
    def test_whole_hour(self) -> None:
        """A gibibyte for an hour is 1,024 times 3,600 mebibyte-seconds."""
        record = storage_record(GIBIBYTE, NOON)

        assert record is not None
        assert record.quantity == 1024 * 3600
        assert (record.workload_id, record.workload_kind) == ("art_1", "artifact")

    def test_part_of_an_hour(self) -> None:
        """An artifact that came within the hour counts from then on."""
        record = storage_record(replace(GIBIBYTE, since=NOON + timedelta(minutes=45)), NOON)

        assert record is not None
        assert record.quantity == 1024 * 900
        assert record.started_at == NOON + timedelta(minutes=45)

    def test_nothing(self) -> None:
        """Before it came, and where it has no content, an artifact leaves no record."""
        assert storage_record(GIBIBYTE, NOON - timedelta(hours=1)) is None
        assert storage_record(replace(GIBIBYTE, size_bytes=0), NOON) is None


class TestStorageMeter:
    async def test_hours_once(self, database: Database, clock: ManualClock) -> None:
        """Each hour that has passed is metered once, and the one that runs not yet."""
        meter = StorageMeter(database, clock, Shelf([GIBIBYTE]))

        assert await meter.run() == 0
        clock.advance(2 * 3600 + 1800)
        assert await meter.run() == 2
        assert await meter.run() == 0
        assert await recorded(database) == (2, 2 * 1024 * 3600)

    async def test_makes_up_for_a_pause(self, database: Database, clock: ManualClock) -> None:
        """Hours that were missed while no worker ran are metered later, a day of them a pass."""
        meter = StorageMeter(database, clock, Shelf([GIBIBYTE]))
        clock.advance(3600 * (HOURS_PER_PASS_MAX + 5))

        assert [await meter.run() for _ in range(3)] == [HOURS_PER_PASS_MAX, 5, 0]

    async def test_new_artifact(self, database: Database, clock: ManualClock) -> None:
        """An artifact that comes later is metered from then on, beside those there are."""
        shelf = Shelf([GIBIBYTE])
        meter = StorageMeter(database, clock, shelf)
        clock.advance(3600)
        await meter.run()
        shelf.kept = [GIBIBYTE, replace(GIBIBYTE, artifact_id="art_2", since=clock.now())]
        clock.advance(3600)

        assert await meter.run() == 2

    async def test_too_small_to_meter(self, database: Database, clock: ManualClock) -> None:
        """An old artifact of a few bytes leaves no record, and does not keep others from theirs."""
        tiny = replace(GIBIBYTE, artifact_id="art_0", size_bytes=1)
        late = replace(GIBIBYTE, since=NOON + timedelta(hours=3 * HOURS_PER_PASS_MAX))
        clock.advance(3600 * (3 * HOURS_PER_PASS_MAX + 1))

        assert await StorageMeter(database, clock, Shelf([tiny, late])).run() == 1

    async def test_nothing_kept(self, database: Database, clock: ManualClock) -> None:
        """Where nothing is kept nothing is metered."""
        clock.advance(3600)

        assert await StorageMeter(database, clock, Shelf([])).run() == 0
