"""The outbox: work that leaves with the commit that caused it, and is done exactly once.

`enqueue` adds a row in the caller's transaction. The dispatcher hands it to the one handler of its
topic, inside the transaction that also removes the row; so a handler's writes happen once, however
often a worker dies. Handlers do short database work; what is slow gets a row with a reconciler.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.types import Json, JsonObject
from galerne.kit.ids import new_id
from galerne.worker.claims import ClaimableRecord
from galerne.worker.reconciler import Failure, Reconciler


class OutboxRow(ClaimableRecord):
    """A message on its way to its handler; deleted when that has committed."""

    __tablename__ = "outbox"
    id_prefix = "out"

    topic: Mapped[str] = mapped_column(String(100))
    payload: Mapped[JsonObject] = mapped_column(Json)


@dataclass(frozen=True, slots=True)
class Message:
    """What a handler gets."""

    id: str  # Stable over retries: usable as the source id of what the handler writes.
    topic: str
    payload: JsonObject
    created_at: datetime


Handler = Callable[[AsyncSession, Message], Awaitable[None]]


def enqueue(session: AsyncSession, topic: str, payload: JsonObject, *, now: datetime) -> None:
    """Add a message to the caller's transaction."""
    session.add(
        OutboxRow(
            id=new_id(OutboxRow.id_prefix),
            created_at=now,
            topic=topic,
            payload=payload,
            next_pass_at=now,
        )
    )


class OutboxDispatcher(Reconciler[OutboxRow, Message, Message]):
    """Hands each row to its topic's handler. A topic without one backs off and says so."""

    kind = "outbox"

    def __init__(self, handlers: Mapping[str, Sequence[Handler]]) -> None:
        self._handlers = handlers

    @property
    def model(self) -> type[OutboxRow]:
        return OutboxRow

    async def load(self, session: AsyncSession, rows: Sequence[OutboxRow]) -> Mapping[str, Message]:
        del session
        return {row.id: Message(row.id, row.topic, row.payload, row.created_at) for row in rows}

    async def act(self, loaded: Mapping[str, Message]) -> Mapping[str, Message | Failure]:
        return {
            row_id: message
            if message.topic in self._handlers
            else Failure(f"no handler for the topic {message.topic}")
            for row_id, message in loaded.items()
        }

    async def apply(
        self,
        session: AsyncSession,
        row: OutboxRow,
        loaded: Message,
        learnt: Message,
        *,
        now: datetime,
    ) -> datetime | None:
        del learnt, now
        for handler in self._handlers[loaded.topic]:
            await handler(session, loaded)
        await session.delete(row)
        return None
