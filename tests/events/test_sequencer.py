"""The sequencer on both databases: contiguous, signed, safe to run twice and to kill anywhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Database, Scope
from galerne.events import merkle
from galerne.events.emit import emit
from galerne.events.leaves import leaf_bytes
from galerne.events.models import Checkpoint, LogEntry, TreeNode
from galerne.events.sequencer import Sequencer
from galerne.kit.clock import ManualClock


class FakeSigner:
    """Signs with nothing secret: what is signed is checked elsewhere."""

    name = "example.eu/log"
    key_id = b"\x00\x01\x02\x03"

    def sign(self, message: bytes) -> bytes:
        return merkle.leaf_hash(message)


def sequencer(database: Database, clock: ManualClock, **options: Any) -> Sequencer:
    return Sequencer(database, clock, FakeSigner(), "test", **options)


async def write_entries(database: Database, clock: ManualClock, count: int) -> None:
    async with database.write(Scope.system()) as session:
        for number in range(count):
            emit(
                session,
                "job.running",
                subject_id=f"job_{number}",
                organization_id="org_1",
                project_id=None,
                actor="test",
                data={"number": number, "text": "Orléans"},
                at=clock.now(),
            )


async def assert_log_is_whole(database: Database, size: int) -> None:
    """Every entry has a place of its own, and the newest checkpoint is the tree over all of them."""
    async with database.read(Scope.system()) as session:
        entries = (await session.scalars(select(LogEntry).order_by(LogEntry.leaf_index))).all()
        newest = await session.scalar(select(Checkpoint).order_by(Checkpoint.tree_size.desc()))
        rows = await session.execute(select(TreeNode.level, TreeNode.position, TreeNode.hash))
        nodes = {merkle.NodeId(row.level, row.position): row.hash for row in rows}
        session.expunge_all()
    assert [entry.leaf_index for entry in entries] == list(range(size))
    assert newest is not None
    assert newest.tree_size == size
    hashes = [merkle.leaf_hash(leaf_bytes(entry)) for entry in entries]
    assert [entry.leaf_hash for entry in entries] == hashes
    assert newest.root == merkle.root(size, nodes) == merkle.append(0, [], hashes).root


async def test_entries_get_places(database: Database, clock: ManualClock) -> None:
    """Entries are placed once each, and a run with nothing to do does nothing."""
    await write_entries(database, clock, 5)
    assert await sequencer(database, clock).run() == 5
    assert await sequencer(database, clock).run() == 0
    await write_entries(database, clock, 3)
    assert await sequencer(database, clock).run() == 3
    await assert_log_is_whole(database, 8)


async def test_an_empty_log_is_left_alone(database: Database, clock: ManualClock) -> None:
    """Without entries there is no checkpoint, since there is nothing to state."""
    assert await sequencer(database, clock).run() == 0
    async with database.read(Scope.system()) as session:
        assert await session.scalar(select(func.count()).select_from(Checkpoint)) == 0


async def test_batches(database: Database, clock: ManualClock) -> None:
    """A long queue is taken in batches, each with a checkpoint, to the same tree."""
    await write_entries(database, clock, 23)
    assert await sequencer(database, clock, batch_entries=5).run() == 23
    await assert_log_is_whole(database, 23)


async def test_many_at_once(database: Database, clock: ManualClock) -> None:
    """Sequencers that run at the same time give no place twice and leave no gap."""
    await write_entries(database, clock, 60)
    runs = [sequencer(database, clock, batch_entries=10) for _ in range(4)]
    while sum(await asyncio.gather(*(each.run() for each in runs))):
        pass
    await assert_log_is_whole(database, 60)


async def test_the_checkpoint_is_a_note(database: Database, clock: ManualClock) -> None:
    """A checkpoint says origin, size and root, and is signed as a C2SP note."""
    await write_entries(database, clock, 1)
    await sequencer(database, clock).run()
    async with database.read(Scope.system()) as session:
        (note,) = (await session.scalars(select(Checkpoint.note))).all()
    origin, size, root, empty, signature, end = note.split("\n")
    assert (origin, size, empty, end) == ("example.eu/log", "1", "", "")
    assert root.endswith("=")
    assert signature.startswith("\N{EM DASH} example.eu/log AAECA")


class KilledError(Exception):
    """Stands for the end of the process."""


@asynccontextmanager
async def killed_at_statement(database: Database, number: int) -> AsyncIterator[list[int]]:
    """Raise in place of the database's `number`th statement; yield how many were seen."""
    seen = [0]

    def count(*_: object) -> None:
        seen[0] += 1
        if seen[0] == number:
            raise KilledError

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", count)


async def test_killed_between_any_two_statements(database: Database, clock: ManualClock) -> None:
    """Wherever a run dies, the next one loses nothing and places nothing twice."""
    size = 0
    for number in range(1, 50):
        await write_entries(database, clock, 3)
        size += 3
        async with killed_at_statement(database, number) as seen:
            with suppress(KilledError):
                await sequencer(database, clock).run()
        await sequencer(database, clock).run()
        await assert_log_is_whole(database, size)
        if seen[0] < number:
            break
    else:
        pytest.fail("a run takes more statements than expected")
    assert number > 5, "the run was killed at several steps"


async def test_entries_are_unchanged_by_the_database(
    database: Database, clock: ManualClock
) -> None:
    """What an entry says is the same bytes before it is stored and after it is read back."""
    data = {"b": [1, True, None, "é\u2028\U0001f600"], "a": {"z": 2**53 - 1, "y": -1}, "": {}}
    async with database.write(Scope.system()) as session:
        entry = _emit(session, data, clock)
        before = leaf_bytes(entry)
    async with database.read(Scope.system()) as session:
        stored = await session.scalar(select(LogEntry))
        assert stored is not None
        assert leaf_bytes(stored) == before


@pytest.mark.parametrize(
    "data",
    [{"x": 1.5}, {"x": [float("nan")]}, {"x": 2**53}, {"x": "a\0b"}, {"x": "\ud800"}, {"x": {1}}],
    ids=["float", "nan", "huge", "nul", "surrogate", "set"],
)
async def test_unfit_data_is_refused_at_once(
    database: Database, clock: ManualClock, data: dict[str, Any]
) -> None:
    """Data that has no canonical form never reaches the log, where it would stop the sequencer."""
    async with database.read(Scope.system()) as session:
        with pytest.raises(ValueError, match="cannot go into the log"):
            _emit(session, data, clock)


def _emit(session: AsyncSession, data: dict[str, Any], clock: ManualClock) -> LogEntry:
    return emit(
        session,
        "job.running",
        subject_id="job_1",
        organization_id="org_1",
        project_id=None,
        actor="test",
        data=data,
        at=clock.now(),
    )
