"""A pass writes its rows together, and where that fails each by itself."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Database, Scope
from galerne.events.models import Checkpoint
from galerne.kit.clock import ManualClock
from galerne.worker.outbox import Message, OutboxDispatcher, OutboxRow, enqueue
from galerne.worker.reconciler import Pass

SYSTEM = Scope.system()


async def seen(database: Database) -> Sequence[str]:
    async with database.read(SYSTEM) as session:
        return sorted(await session.scalars(select(Checkpoint.note)))


async def left(database: Database) -> Sequence[OutboxRow]:
    async with database.read(SYSTEM) as session:
        return (await session.scalars(select(OutboxRow))).all()


@pytest.fixture(autouse=True)
async def messages(database: Database, clock: ManualClock) -> None:
    async with database.write(SYSTEM) as session:
        for number in range(4):
            enqueue(session, "note", {"number": number}, now=clock.now())


def dispatcher(
    database: Database, clock: ManualClock, *, bad: str | None
) -> Pass[OutboxRow, Message, Message]:
    async def note(session: AsyncSession, message: Message) -> None:
        number = message.payload["number"]
        size = 0 if bad == "constraint" and number == 2 else number
        session.add(
            Checkpoint(
                id=f"ckp_{number}",
                created_at=clock.now(),
                tree_size=size,
                root=b"",
                note=str(number),
            )
        )
        if bad == "raises" and number == 2:
            raise ValueError("not this one")

    reconciler = OutboxDispatcher({"note": [note]})
    return Pass(reconciler, database=database, clock=clock, owner="test")


async def test_all_rows_of_a_pass_are_written(database: Database, clock: ManualClock) -> None:
    """Where nothing fails every row is handled once, and no row is left."""
    assert await dispatcher(database, clock, bad=None).run() == 4

    assert await seen(database) == ["0", "1", "2", "3"]
    assert await left(database) == []


@pytest.mark.parametrize("bad", ["raises", "constraint"])
async def test_one_bad_row_does_not_undo_the_others(
    database: Database, clock: ManualClock, bad: str
) -> None:
    """A row whose writing fails backs off with the reason; the others are written, once."""
    await dispatcher(database, clock, bad=bad).run()

    assert await seen(database) == ["0", "1", "3"]
    (row,) = await left(database)
    assert row.payload == {"number": 2}
    assert row.failures == 1
    assert row.last_failure is not None
    assert row.last_failure.startswith("ValueError" if bad == "raises" else "IntegrityError")
    assert row.claim_token is None
    assert row.next_pass_at is not None
    assert row.next_pass_at > clock.now()


async def test_a_bad_row_is_written_when_it_is_well_again(
    database: Database, clock: ManualClock
) -> None:
    """After its pause the row that failed is tried again, alone, and the failure is forgotten."""
    await dispatcher(database, clock, bad="raises").run()
    clock.advance(2)

    assert await dispatcher(database, clock, bad=None).run() == 1

    assert await seen(database) == ["0", "1", "2", "3"]
    assert await left(database) == []
