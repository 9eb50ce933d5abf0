"""The outbox: what was enqueued is handled exactly once, whoever dies."""

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.scenarios.cloud import Killed, MortalPass
from tests.worker.rows import SYSTEM

from galerne.db.session import Database
from galerne.kit.clock import ManualClock
from galerne.worker.outbox import Message, OutboxDispatcher, OutboxRow, enqueue
from galerne.worker.reconciler import Pass

MESSAGES = 12


class Copy:
    """A handler that writes a row of its own for each message, in the transaction it is given."""

    def __init__(self) -> None:
        self.failing: set[int] = set()  # Numbers of messages.

    async def __call__(self, session: AsyncSession, message: Message) -> None:
        session.add(
            OutboxRow(
                id=f"copy_{message.payload['number']}",
                created_at=message.created_at,
                topic="copied",
                payload=message.payload,
            )
        )
        if message.payload["number"] in self.failing:
            raise OSError("not now")


async def send(database: Database, clock: ManualClock, topic: str = "copy") -> None:
    async with database.write(SYSTEM) as session:
        for number in range(MESSAGES):
            enqueue(session, topic, {"number": number}, now=clock.now())


async def count(database: Database, topic: str) -> int:
    async with database.read(SYSTEM) as session:
        statement = select(func.count()).select_from(OutboxRow).where(OutboxRow.topic == topic)
        return await session.scalar(statement) or 0


def dispatcher(
    database: Database, clock: ManualClock, handler: Copy, owner: str = "w"
) -> MortalPass:
    return MortalPass(
        OutboxDispatcher({"copy": [handler]}),
        database=database,
        clock=clock,
        owner=owner,
        claim_seconds=30,
    )


async def test_each_message_is_handled_once(database: Database, clock: ManualClock) -> None:
    """The handler's write and the message's removal are one transaction."""
    copy = Copy()
    await send(database, clock)

    await dispatcher(database, clock, copy).run()
    await dispatcher(database, clock, copy).run()

    assert (await count(database, "copy"), await count(database, "copied")) == (0, MESSAGES)


@pytest.mark.parametrize("where", ["claim", "act"])
async def test_a_dead_dispatcher_loses_and_doubles_nothing(
    database: Database, clock: ManualClock, where: str
) -> None:
    """Killed before its transaction, it leaves every message to the next worker."""
    copy = Copy()
    await send(database, clock)
    dying = dispatcher(database, clock, copy, "dying")
    dying.kill_after = where
    with pytest.raises(Killed):
        await dying.run()
    assert await dispatcher(database, clock, copy).run() == 0
    clock.advance(31)

    assert await dispatcher(database, clock, copy).run() == MESSAGES

    assert (await count(database, "copy"), await count(database, "copied")) == (0, MESSAGES)


async def test_a_handler_that_fails_writes_nothing_and_is_called_again(
    database: Database, clock: ManualClock
) -> None:
    """What a failing handler wrote is undone; after its pause the message is handled once."""
    copy = Copy()
    copy.failing = {0, 5, 11}
    await send(database, clock)

    await dispatcher(database, clock, copy).run()
    assert await count(database, "copied") == MESSAGES - 3
    copy.failing.clear()
    clock.advance(2)
    await dispatcher(database, clock, copy).run()

    assert (await count(database, "copy"), await count(database, "copied")) == (0, MESSAGES)


async def test_a_topic_without_a_handler_waits_and_says_so(
    database: Database, clock: ManualClock
) -> None:
    """A message of a newer version is kept, with growing pauses, until somebody knows its topic."""
    await send(database, clock, "of-tomorrow")
    for seconds in (1, 2, 4):
        await dispatcher(database, clock, Copy()).run()
        assert await dispatcher(database, clock, Copy()).run() == 0
        clock.advance(seconds)

    async with database.read(SYSTEM) as session:
        rows = (await session.scalars(select(OutboxRow))).all()
    assert len(rows) == MESSAGES
    assert {row.failures for row in rows} == {3}
    assert "of-tomorrow" in (rows[0].last_failure or "")


async def test_workers_side_by_side_handle_each_message_once(
    database: Database, clock: ManualClock
) -> None:
    """Dispatchers that run at the same time share the messages out."""
    copy = Copy()
    await send(database, clock)
    passes: list[Pass[OutboxRow, Message, Message]] = [
        dispatcher(database, clock, copy, f"w{number}") for number in range(4)
    ]

    await asyncio.gather(*(each.run() for each in passes))

    assert await count(database, "copied") == MESSAGES


async def test_what_rolls_back_is_not_sent(database: Database, clock: ManualClock) -> None:
    """A message leaves with the commit that caused it, and not without."""

    async def fail() -> None:
        async with database.write(SYSTEM) as session:
            enqueue(session, "copy", {"number": 1}, now=clock.now())
            await session.flush()
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await fail()

    assert await count(database, "copy") == 0
