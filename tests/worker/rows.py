"""Rows of the outbox, which stand for any row that a reconciler looks after."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Database, Scope
from galerne.kit.clock import Clock
from galerne.worker.outbox import OutboxRow
from galerne.worker.reconciler import Failure, Reconciler

SYSTEM = Scope.system()
Act = Callable[[Mapping[str, str]], Mapping[str, str | Failure]]


async def add_rows(database: Database, clock: Clock, count: int) -> list[str]:
    """Add rows that are due now, and return their ids."""
    now = clock.now()
    ids = [f"out_{number:04}" for number in range(count)]
    async with database.write(SYSTEM) as session:
        session.add_all(
            OutboxRow(id=row_id, created_at=now, topic="test", payload={}, next_pass_at=now)
            for row_id in ids
        )
    return ids


async def row(database: Database, row_id: str) -> OutboxRow:
    async with database.read(SYSTEM) as session:
        return (await session.scalars(select(OutboxRow).where(OutboxRow.id == row_id))).one()


class Echo(Reconciler[OutboxRow, str, str]):
    """Loads ids, calls `on_act`, writes the result into the payload, and looks again at `again`."""

    kind = "echo"

    def __init__(self, again: datetime | None = None) -> None:
        self.again = again
        self.acted: list[str] = []
        self.on_act: Callable[[], object] = lambda: None
        self.answer: Act = dict
        self.broken: frozenset[str] = frozenset()  # Rows whose apply fails.

    @property
    def model(self) -> type[OutboxRow]:
        return OutboxRow

    async def load(self, session: AsyncSession, rows: Sequence[OutboxRow]) -> Mapping[str, str]:
        del session
        return {each.id: each.id for each in rows}

    async def act(self, loaded: Mapping[str, str]) -> Mapping[str, str | Failure]:
        self.acted += loaded
        found = self.on_act()
        if hasattr(found, "__await__"):
            await found
        return self.answer(loaded)

    async def apply(
        self, session: AsyncSession, row: OutboxRow, loaded: str, learnt: str, *, now: datetime
    ) -> datetime | None:
        del session, now
        row.payload = {"learnt": learnt, "times": int(row.payload.get("times", 0)) + 1}
        if loaded in self.broken:
            raise ValueError("this row cannot be written")
        return self.again
