"""Claims: a row is held by one worker at a time, and only who holds it writes."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worker.rows import SYSTEM, add_rows, row

from galerne.db.session import Database
from galerne.kit.clock import ManualClock
from galerne.worker import claims
from galerne.worker.claims import BACKOFF_SECONDS_MAX, Claim, backoff_seconds
from galerne.worker.outbox import OutboxRow

SECONDS = 30.0


async def take(database: Database, clock: ManualClock, owner: str, limit: int) -> list[str]:
    now = clock.now()
    held = Claim.fresh(owner, now=now, seconds=SECONDS)
    async with database.write(SYSTEM) as session:
        rows = await claims.claim(session, OutboxRow, held, now=now, limit=limit)
    return [each.id for each in rows]


async def test_two_workers_never_hold_one_row(database: Database, clock: ManualClock) -> None:
    """Workers that claim at the same moment share the rows out; every row has one holder."""
    ids = await add_rows(database, clock, 40)

    taken = await asyncio.gather(*(take(database, clock, f"w{n}", 7) for n in range(8)))

    flat = [each for some in taken for each in some]
    assert len(flat) == len(set(flat))
    left = await take(database, clock, "late", 100)
    assert sorted(flat + left) == ids


async def test_a_row_comes_free_when_its_claim_expires(
    database: Database, clock: ManualClock
) -> None:
    """What a dead worker held is claimed again after the claim's time, and not before."""
    ids = await add_rows(database, clock, 1)
    assert await take(database, clock, "dead", 10) == ids
    clock.advance(SECONDS - 1)
    assert await take(database, clock, "next", 10) == []
    clock.advance(1)
    assert await take(database, clock, "next", 10) == ids


async def test_a_stale_claim_holds_nothing(database: Database, clock: ManualClock) -> None:
    """Once another worker has the row, the first one's claim finds nothing to write to."""
    ids = await add_rows(database, clock, 1)
    now = clock.now()
    stale = Claim.fresh("slow", now=now, seconds=SECONDS)
    async with database.write(SYSTEM) as session:
        await claims.claim(session, OutboxRow, stale, now=now, limit=1)
    clock.advance(SECONDS)
    await take(database, clock, "next", 1)

    async with database.write(SYSTEM) as session:
        assert await claims.still_held(session, OutboxRow, stale, ids) == []


async def test_an_extended_claim_is_kept(database: Database, clock: ManualClock) -> None:
    """Slow work keeps its rows for as long as it goes on."""
    await add_rows(database, clock, 1)
    now = clock.now()
    held = Claim.fresh("slow", now=now, seconds=SECONDS)
    async with database.write(SYSTEM) as session:
        await claims.claim(session, OutboxRow, held, now=now, limit=1)
        await claims.extend(
            session, OutboxRow, held, expires_at=now + timedelta(seconds=2 * SECONDS)
        )
    clock.advance(SECONDS)

    assert await take(database, clock, "next", 1) == []


async def test_the_longest_waiting_comes_first(database: Database, clock: ManualClock) -> None:
    """Where not all can be claimed, nobody is passed over for ever."""
    ids = await add_rows(database, clock, 3)
    async with database.write(SYSTEM) as session:
        for number, row_id in enumerate(ids):
            found = await session.get_one(OutboxRow, row_id)
            found.next_pass_at = clock.now() - timedelta(seconds=number)

    assert await take(database, clock, "w", 1) == [ids[-1]]
    assert await take(database, clock, "w", 1) == [ids[-2]]


async def test_release_and_back_off(database: Database, clock: ManualClock) -> None:
    """A pass that failed shows why and doubles its pause; one that went well forgets the failures."""
    (row_id,) = await add_rows(database, clock, 1)
    for failures, pause in ((1, 1), (2, 2), (3, 4)):
        async with database.write(SYSTEM) as session:
            found = await session.get_one(OutboxRow, row_id)
            assert claims.back_off(found, now=clock.now(), reason="x" * 1000) == pause
        seen = await row(database, row_id)
        assert (seen.failures, len(seen.last_failure or "")) == (failures, 500)
        assert seen.next_pass_at == clock.now() + timedelta(seconds=pause)
    async with database.write(SYSTEM) as session:
        claims.release(await session.get_one(OutboxRow, row_id), next_pass_at=None)

    seen = await row(database, row_id)
    assert (seen.failures, seen.last_failure, seen.claim_token, seen.next_pass_at) == (
        0,
        None,
        None,
        None,
    )


@given(st.integers(1, 10_000))
def test_pauses_grow_and_are_bounded(failures: int) -> None:
    """A pause is never shorter than the one before, at least a second, and at most five minutes."""
    pause = backoff_seconds(failures)

    assert 1 <= pause <= BACKOFF_SECONDS_MAX
    assert backoff_seconds(failures + 1) == pytest.approx(min(BACKOFF_SECONDS_MAX, 2 * pause))
