"""A pass: claim, act, apply; killed, too slow, woken meanwhile, or wrong in one row."""

from datetime import timedelta

from tests.worker.rows import SYSTEM, Echo, add_rows, row

from galerne.db.session import Database
from galerne.kit.clock import ManualClock
from galerne.worker.outbox import OutboxRow
from galerne.worker.reconciler import Failure, Pass


def make(
    database: Database, clock: ManualClock, echo: Echo, owner: str = "w"
) -> Pass[OutboxRow, str, str]:
    return Pass(echo, database=database, clock=clock, owner=owner, claim_seconds=30)


async def test_a_pass_writes_what_it_learnt(database: Database, clock: ManualClock) -> None:
    """Every due row is acted on once and given back with the time of its next pass."""
    later = clock.now() + timedelta(seconds=9)
    echo = Echo(later)
    ids = await add_rows(database, clock, 3)
    one = make(database, clock, echo)

    assert [await one.run(), await one.run()] == [3, 0]

    for row_id in ids:
        seen = await row(database, row_id)
        assert seen.payload == {"learnt": row_id, "times": 1}
        assert (seen.next_pass_at, seen.claim_token) == (later, None)


async def test_the_result_of_a_stale_claim_is_thrown_away(
    database: Database, clock: ManualClock
) -> None:
    """A worker that was too slow writes nothing: the other worker's result stands."""
    (row_id,) = await add_rows(database, clock, 1)
    slow, quick = Echo(), Echo()
    slow.answer = lambda loaded: dict.fromkeys(loaded, "stale")
    quick.answer = lambda loaded: dict.fromkeys(loaded, "fresh")

    async def overtake() -> None:
        clock.advance(31)
        assert await make(database, clock, quick, "quick").run() == 1

    slow.on_act = overtake
    await make(database, clock, slow, "slow").run()

    assert (await row(database, row_id)).payload == {"learnt": "fresh", "times": 1}


async def test_a_row_that_is_woken_during_its_pass_is_looked_at_again(
    database: Database, clock: ManualClock
) -> None:
    """A wake-up between claim and apply is not lost, though the pass wanted the row to sleep."""
    (row_id,) = await add_rows(database, clock, 1)
    echo = Echo(None)

    async def wake() -> None:
        clock.advance(1)
        async with database.write(SYSTEM) as session:
            (await session.get_one(OutboxRow, row_id)).next_pass_at = clock.now()

    echo.on_act = wake
    one = make(database, clock, echo)
    await one.run()
    echo.on_act = lambda: None

    assert [await one.run(), await one.run()] == [1, 0]
    assert (await row(database, row_id)).payload["times"] == 2
    assert (await row(database, row_id)).next_pass_at is None


async def test_one_row_that_cannot_be_written_spoils_no_other(
    database: Database, clock: ManualClock
) -> None:
    """An apply that raises undoes its own row only, which backs off and shows why."""
    good, bad = await add_rows(database, clock, 2)
    echo = Echo()
    echo.broken = frozenset({bad})

    await make(database, clock, echo).run()

    assert (await row(database, good)).payload["times"] == 1
    failed = await row(database, bad)
    assert failed.payload == {}
    assert (failed.failures, failed.claim_token) == (1, None)
    assert "cannot be written" in (failed.last_failure or "")


async def test_an_act_that_raises_backs_every_row_off(
    database: Database, clock: ManualClock
) -> None:
    """A bug in an act loses nothing: each row shows it and is tried again later."""
    ids = await add_rows(database, clock, 2)
    echo = Echo()

    def fail() -> None:
        raise RuntimeError("a bug")

    echo.on_act = fail
    await make(database, clock, echo).run()

    for row_id in ids:
        seen = await row(database, row_id)
        assert seen.last_failure == "RuntimeError: a bug"
        assert seen.next_pass_at == clock.now() + timedelta(seconds=1)


async def test_failures_and_silence_back_off(database: Database, clock: ManualClock) -> None:
    """A row that failed, and one that the act said nothing of, are tried again and say so."""
    failed, silent = await add_rows(database, clock, 2)
    echo = Echo()
    echo.answer = lambda loaded: {failed: Failure("the engine is away")} if loaded else {}

    await make(database, clock, echo).run()

    assert (await row(database, failed)).last_failure == "the engine is away"
    assert "nothing" in ((await row(database, silent)).last_failure or "")
