"""Taking usage in, exactly once, and reading it back."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.base import ID_LENGTH
from galerne.db.session import TenancyError, scope_of
from galerne.db.types import JsonObject
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.metering.meters import METERS
from galerne.metering.usage.errors import UsageConflict
from galerne.metering.usage.models import SOURCE_ID_LENGTH_MAX, UsageRecord, UsageRefusal
from galerne.metering.usage.repository import UsageFilter, UsageRepository
from galerne.metering.usage.schemas import Ingested, Refused, UsageRecordIn
from galerne.metering.usage.validation import problem

_FIELDS = tuple(field.name for field in fields(UsageRecordIn))
_content = attrgetter(*_FIELDS)
_log = structlog.get_logger(__name__)


class UsageService:
    """Usage records: written once, never changed."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._usage = UsageRepository(session)

    async def ingest(self, records: Sequence[UsageRecordIn]) -> Ingested:
        """Take a batch in. What is here already changes nothing; what cannot be true is refused.

        A refused record is kept with its reason and stops none of the others. Nothing is durable
        before the caller's transaction has committed: a source may forget a record only then.
        """
        now = self._clock.now()
        self._refuse_foreign(records)
        valid, refused = _validated(records, now=now)
        firsts, seconds = _firsts(valid)
        inserted = await self._usage.insert_new([_row(record, now=now) for record in firsts])
        doubtful = [record for record in firsts if record.source_id not in inserted] + seconds
        conflicts = await self._conflicts(doubtful)
        refused += conflicts
        if refused:
            await self._keep(refused, now=now)
        return Ingested(len(inserted), len(doubtful) - len(conflicts), tuple(refused))

    async def page(
        self, wanted: UsageFilter, *, limit: int, before: str | None = None
    ) -> Sequence[UsageRecord]:
        return await self._usage.page(*wanted.conditions(), limit=limit, before=before)

    async def recorded_until(self, meter: str) -> datetime | None:
        """Return when the last recorded window of this meter ended; None where there is none."""
        return await self._usage.latest_end(meter)

    async def refusals(self, *, limit: int) -> Sequence[UsageRefusal]:
        """Return the latest refused records, newest first."""
        return await self._usage.refusals(limit=limit)

    def _refuse_foreign(self, records: Iterable[UsageRecordIn]) -> None:
        # The session checks objects that are added to it; a bulk insert it does not see.
        scope = scope_of(self._session)
        for record in records:
            if scope.organization_id not in {None, record.organization_id}:
                raise TenancyError("a usage record of another organization")
            if scope.project_id not in {None, record.project_id}:
                raise TenancyError("a usage record of another project")

    async def _conflicts(self, doubtful: Sequence[UsageRecordIn]) -> list[Refused]:
        if not doubtful:
            return []
        stored = await self._usage.of_sources(sorted({record.source_id for record in doubtful}))
        return [
            Refused(record, UsageConflict())
            for record in doubtful
            # A record that this session may not see is another tenant's: a conflict as well.
            if record.source_id not in stored
            or _content(record) != _content(stored[record.source_id])
        ]

    async def _keep(self, refused: Sequence[Refused], *, now: datetime) -> None:
        await self._usage.insert_refusals([_refusal_row(each, now=now) for each in refused])
        codes = sorted({each.error.code for each in refused})
        _log.warning("usage_refused", records=len(refused), codes=codes)


def _validated(
    records: Iterable[UsageRecordIn], *, now: datetime
) -> tuple[list[UsageRecordIn], list[Refused]]:
    valid: list[UsageRecordIn] = []
    refused: list[Refused] = []
    for record in records:
        error = problem(record, now=now)
        if error is None:
            valid.append(record)
        else:
            refused.append(Refused(record, error))
    return valid, refused


def _firsts(records: Iterable[UsageRecordIn]) -> tuple[list[UsageRecordIn], list[UsageRecordIn]]:
    """Part the first record of each source id from those that repeat it within the batch.

    The firsts come in the order of their ids, so that two batches with the same records, taken in
    at once, wait for each other instead of both dying in a deadlock.
    """
    firsts: dict[str, UsageRecordIn] = {}
    seconds: list[UsageRecordIn] = []
    for record in records:
        if record.source_id in firsts:
            seconds.append(record)
        else:
            firsts[record.source_id] = record
    return [firsts[source_id] for source_id in sorted(firsts)], seconds


def _row(record: UsageRecordIn, *, now: datetime) -> JsonObject:
    row = dict(zip(_FIELDS, _content(record), strict=True))
    row["id"] = new_id(UsageRecord.id_prefix)
    row["created_at"] = now
    row["unit"] = METERS[record.meter].unit
    return row


def _refusal_row(refused: Refused, *, now: datetime) -> JsonObject:
    record = refused.record
    # Of the record as it came: what is stored may spell two unprintable records alike.
    fingerprint = hashlib.sha256(ascii(_content(record)).encode()).hexdigest()
    return {
        "id": new_id(UsageRefusal.id_prefix),
        "created_at": now,
        "organization_id": _printable(record.organization_id)[:ID_LENGTH],
        "project_id": _printable(record.project_id)[:ID_LENGTH],
        "source_id": _printable(record.source_id)[:SOURCE_ID_LENGTH_MAX],
        "fingerprint": fingerprint,
        "code": refused.error.code,
        "message": _printable(refused.error.message),
        "record": {name: _storable(getattr(record, name)) for name in _FIELDS},
    }


def _storable(value: Any) -> Any:
    """Spell anything as JSON that every database keeps: no floats, no NUL, no half characters."""
    if value is None or type(value) is int or isinstance(value, dict):
        return value
    return _printable(value.isoformat() if isinstance(value, datetime) else str(value))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
