"""Every statement on usage records and refusals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from galerne.db.repository import Repository
from galerne.db.types import JsonObject
from galerne.metering.usage.models import UsageRecord, UsageRefusal

ROWS_PER_STATEMENT_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Which records to list; times are those at which records ended, `until` not included."""

    project_id: str | None = None
    workload_id: str | None = None
    meter: str | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted: list[ColumnElement[bool]] = []
        if self.project_id is not None:
            wanted.append(UsageRecord.project_id == self.project_id)
        if self.workload_id is not None:
            wanted.append(UsageRecord.workload_id == self.workload_id)
        if self.meter is not None:
            wanted.append(UsageRecord.meter == self.meter)
        if self.model is not None:
            wanted.append(UsageRecord.model == self.model)
        if self.since is not None:
            wanted.append(UsageRecord.ended_at >= self.since)
        if self.until is not None:
            wanted.append(UsageRecord.ended_at < self.until)
        return wanted


class UsageRepository(Repository[UsageRecord]):
    """Inserts that are idempotent by source id, and what reads them back."""

    model = UsageRecord

    async def insert_new(self, rows: Sequence[JsonObject]) -> set[str]:
        """Insert the rows whose source id is not here yet; return the source ids of those."""
        table = cast("Table", UsageRecord.__table__)
        statement = (
            self._insert(table)
            .on_conflict_do_nothing(index_elements=["source_id"])
            .returning(table.c.source_id)
        )
        inserted: set[str] = set()
        for start in range(0, len(rows), ROWS_PER_STATEMENT_MAX):
            batch = rows[start : start + ROWS_PER_STATEMENT_MAX]
            inserted.update(await self.session.scalars(statement, batch))
        return inserted

    async def of_sources(self, source_ids: Sequence[str]) -> dict[str, UsageRecord]:
        """Return the records that these sources sent before."""
        found: dict[str, UsageRecord] = {}
        for start in range(0, len(source_ids), ROWS_PER_STATEMENT_MAX):
            batch = source_ids[start : start + ROWS_PER_STATEMENT_MAX]
            statement = self._select().where(UsageRecord.source_id.in_(batch))
            found |= {row.source_id: row for row in await self.session.scalars(statement)}
        return found

    async def insert_refusals(self, rows: Sequence[JsonObject]) -> None:
        """Keep refused records; one that is refused again for the same content is kept once."""
        table = cast("Table", UsageRefusal.__table__)
        statement = self._insert(table).on_conflict_do_nothing(
            index_elements=["source_id", "fingerprint"]
        )
        await self.session.execute(statement, list(rows))

    async def latest_end(self, meter: str) -> datetime | None:
        """Return when the last window of this meter ended."""
        statement = (
            select(UsageRecord.ended_at)
            .where(UsageRecord.meter == meter)
            .order_by(UsageRecord.ended_at.desc())
            .limit(1)
        )
        return await self.session.scalar(statement)

    async def refusals(self, *, limit: int) -> Sequence[UsageRefusal]:
        statement = select(UsageRefusal).order_by(UsageRefusal.id.desc()).limit(limit)
        return (await self.session.scalars(statement)).all()

    def _insert(self, table: Table) -> Any:
        # `ON CONFLICT` is spelt alike on both, but SQLAlchemy has it in each dialect's own insert.
        dialect = self.session.get_bind().dialect.name
        return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
