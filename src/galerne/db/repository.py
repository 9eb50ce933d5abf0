"""What every repository shares: a session, and cursor pagination by id.

A repository holds every statement on its folder's tables. Tenancy is the session's business
(`db.session`), so a statement here cannot forget it.
"""

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar, cast

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.base import Record

RecordT = TypeVar("RecordT", bound=Record)


class Repository(Generic[RecordT]):
    """Statements on one table."""

    model: ClassVar[type[Record]]

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def _select(self) -> Select[RecordT]:
        return select(cast("type[RecordT]", self.model))

    async def get(self, record_id: str) -> RecordT | None:
        return await self.session.scalar(self._select().where(self.model.id == record_id))

    async def get_locked(self, record_id: str) -> RecordT | None:
        """Return the row as it is now, and let nobody else change it until the transaction ends."""
        statement = self._select().where(self.model.id == record_id).with_for_update()
        return await self.session.scalar(statement.execution_options(populate_existing=True))

    def add(self, record: RecordT) -> RecordT:
        self.session.add(record)
        return record

    async def insert(self, record: RecordT) -> bool:
        """Add and flush; say False, with nothing changed, where a constraint stands against it."""
        try:
            async with self.session.begin_nested():
                self.session.add(record)
        except IntegrityError:
            return False
        return True

    async def page(
        self, *conditions: ColumnElement[bool], limit: int, before: str | None = None
    ) -> Sequence[RecordT]:
        """Return at most `limit` rows, newest first, older than the id `before`."""
        statement = self._select().where(*conditions).order_by(self.model.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(self.model.id < before)
        return (await self.session.scalars(statement)).all()
