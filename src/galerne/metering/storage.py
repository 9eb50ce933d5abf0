"""Meters what is kept in the object store: every whole hour, once, however many workers try.

The id of each record is made of the artifact and the hour, so hours may be metered again at will, and
those that were missed while no worker ran are made up for. Who keeps what is the registry's to say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Database, Scope
from galerne.db.types import JsonObject
from galerne.kit.clock import Clock
from galerne.metering.compute import BYTES_PER_MEBIBYTE
from galerne.metering.meters import STORAGE, divide_half_up
from galerne.metering.usage.models import WorkloadKind
from galerne.metering.usage.schemas import UsageRecordIn
from galerne.metering.usage.service import UsageService

HOUR = timedelta(hours=1)
HOURS_PER_PASS_MAX = 24
_MICROSECONDS_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    """An artifact that is kept."""

    artifact_id: str
    organization_id: str
    project_id: str
    size_bytes: int
    since: datetime
    label: JsonObject


class StorageSizes(Protocol):
    """Says what is kept; supplied by the wiring."""

    async def stored(self, session: AsyncSession) -> Sequence[Stored]:
        """Return every artifact of every tenant. The session is the system's."""
        ...


class StorageMeter:
    """Writes the storage meter's records."""

    def __init__(self, database: Database, clock: Clock, sizes: StorageSizes) -> None:
        self._database = database
        self._clock = clock
        self._sizes = sizes

    async def run(self) -> int:
        """Meter the whole hours that have passed, at most a day of them; return how many records are new.

        More than nothing means that there may be more hours to make up for.
        """
        now_hour = _hour_of(self._clock.now())
        async with self._database.write(Scope.system()) as session:
            usage = UsageService(session, self._clock)
            kept = [each for each in await self._sizes.stored(session) if _moves_the_meter(each)]
            first = min((each.since for each in kept), default=now_hour)
            done_until = await usage.recorded_until(STORAGE.name)
            if done_until is not None:
                first = max(first, done_until)
            records = [
                record
                for hour in _hours(_hour_of(first), now_hour)
                for each in kept
                if (record := storage_record(each, hour)) is not None
            ]
            return (await usage.ingest(records)).recorded


def storage_record(stored: Stored, hour: datetime) -> UsageRecordIn | None:
    """Return the record of one artifact and one hour; None where it was not kept then, or is empty."""
    started_at, ended_at = max(stored.since, hour), hour + HOUR
    if started_at >= ended_at:
        return None
    kept_microseconds = (ended_at - started_at) // timedelta(microseconds=1)
    quantity = divide_half_up(
        stored.size_bytes * kept_microseconds, BYTES_PER_MEBIBYTE * _MICROSECONDS_PER_SECOND
    )
    if not quantity:
        return None
    return UsageRecordIn(
        source_id=f"{stored.artifact_id}/{STORAGE.name}/{hour:%Y-%m-%dT%H}",
        organization_id=stored.organization_id,
        project_id=stored.project_id,
        meter=STORAGE.name,
        quantity=quantity,
        started_at=started_at,
        ended_at=ended_at,
        workload_id=stored.artifact_id,
        workload_kind=WorkloadKind.ARTIFACT.value,
        label=stored.label,
    )


def _moves_the_meter(stored: Stored) -> bool:
    # A pass over hours that leave no record would begin with the same hours for ever.
    return storage_record(stored, _hour_of(stored.since) + HOUR) is not None


def _hours(first: datetime, end: datetime) -> Iterator[datetime]:
    count = min((end - first) // HOUR, HOURS_PER_PASS_MAX)
    return (first + number * HOUR for number in range(count))


def _hour_of(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
