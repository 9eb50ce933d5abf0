"""The loop: goes on at once where there is work, rests where there is none, and survives any error."""

import asyncio

from galerne.kit.clock import ManualClock
from galerne.worker.loop import Loop, Wakeup

BOUND_SECONDS = 5
TURNS = 50  # Of the event loop: enough for every loop to come to rest.


def make(clock: ManualClock, wakeup: Wakeup, script: list[int | Exception]) -> Loop:
    """Make a loop whose passes go as the script says, and that stops at its end."""

    async def one_pass() -> int:
        step = script.pop(0)
        if not script:
            made.stop()
        if isinstance(step, Exception):
            raise step
        return step

    made = Loop("test", one_pass, clock=clock, wakeup=wakeup, idle_seconds=3600)
    return made


async def rest() -> None:
    """Let every loop run until it rests."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def test_it_does_not_rest_while_there_is_work(clock: ManualClock) -> None:
    """A pass that found rows is followed by the next at once."""
    script: list[int | Exception] = [5, 5, 5, 0]

    async with asyncio.timeout(BOUND_SECONDS):
        await make(clock, Wakeup(), script).run()

    assert script == []


async def test_a_wakeup_ends_its_rest(clock: ManualClock) -> None:
    """A loop that rests for an hour goes on when it is woken."""
    script: list[int | Exception] = [0, 0]
    wakeup = Wakeup()

    async with asyncio.timeout(BOUND_SECONDS):
        running = asyncio.create_task(make(clock, wakeup, script).run())
        await rest()
        assert len(script) == 1
        wakeup.wake()
        await running

    assert script == []


async def test_a_wakeup_wakes_every_loop(clock: ManualClock) -> None:
    """Several loops rest on one wake-up; none of them takes it from the others."""
    scripts: list[list[int | Exception]] = [[0, 0] for _ in range(4)]
    wakeup = Wakeup()

    async with asyncio.timeout(BOUND_SECONDS):
        running = [asyncio.create_task(make(clock, wakeup, script).run()) for script in scripts]
        await rest()
        wakeup.wake()
        await asyncio.gather(*running)

    assert scripts == [[], [], [], []]


async def test_an_error_does_not_end_it(clock: ManualClock) -> None:
    """A pass that raises is followed by another one after a pause, which a wake-up may shorten."""
    script: list[int | Exception] = [OSError("the database is away"), 0]
    wakeup = Wakeup()

    async with asyncio.timeout(BOUND_SECONDS):
        running = asyncio.create_task(make(clock, wakeup, script).run())
        await rest()
        wakeup.wake()
        await running

    assert script == []


async def test_stop_ends_its_rest(clock: ManualClock) -> None:
    """A loop that rests for an hour stops at once when it is told to."""
    resting = asyncio.Event()

    async def nothing() -> int:
        resting.set()
        return 0

    loop = Loop("test", nothing, clock=clock, wakeup=Wakeup(), idle_seconds=3600)

    async with asyncio.timeout(BOUND_SECONDS):
        running = asyncio.create_task(loop.run())
        await resting.wait()
        loop.stop()
        await running
