"""What every driver promises, run against every driver."""

import asyncio

import pytest
from tests.contracts.driver_harness import Harness, Until

from galerne.drivers.base import ExitCause, Phase
from galerne.drivers.errors import LaunchRefused, NotYet


async def read_all(harness: Harness, handle: str) -> bytes:
    data, offset = b"", 0
    while True:
        chunk = await harness.driver.read_log(handle, offset=offset, bytes_max=7)
        data += chunk.data
        offset = chunk.next_offset
        if chunk.complete or not chunk.data:
            return data


class TestSubmit:
    async def test_runs_once(self, harness: Harness, until: Until) -> None:
        """A launch runs to its end and says when it began, when it ended and what it used."""
        await harness.driver.submit(harness.launch("a", "ok"))
        ended = await until("a", Phase.ENDED)
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.exit_code) == (ExitCause.COMPLETED, 0)
        assert ended.started_at is not None
        assert ended.ended_at is not None
        assert ended.started_at <= ended.ended_at
        assert ended.usage.cpu_nanoseconds > 0

    async def test_is_idempotent(self, harness: Harness, until: Until) -> None:
        """A second submit of a handle starts nothing, neither while it runs nor after its end."""
        launch = harness.launch("a", "ok")
        await harness.driver.submit(launch)
        await harness.driver.submit(launch)
        first = await until("a", Phase.ENDED)
        await harness.driver.submit(launch)
        await harness.tick()
        second = await until("a", Phase.ENDED)
        assert second == first
        assert (await read_all(harness, "a")).count(b"hello") == 1

    async def test_concurrent_submits_start_one(self, harness: Harness, until: Until) -> None:
        """Ten submits of one handle at once, through two driver objects, run it once."""
        launch = harness.launch("a", "ok")
        other = harness.driver
        drivers = [other, harness.restart()] if type(other).name == "local" else [other]
        await asyncio.gather(*(driver.submit(launch) for driver in drivers * 5))
        await until("a", Phase.ENDED)
        assert (await read_all(harness, "a")).count(b"hello") == 1

    async def test_refuses_unknown_node(self, harness: Harness) -> None:
        """A launch for a node that is not there is refused with a code and a hint."""
        with pytest.raises(LaunchRefused) as refused:
            await harness.driver.submit(harness.launch("a", "ok", nodes=("elsewhere",)))
        assert refused.value.code == "node_unknown"
        assert refused.value.hint
        assert (await harness.driver.observe(["a"]))["a"].phase is Phase.ABSENT


class TestObserve:
    async def test_absent(self, harness: Harness) -> None:
        """A handle that was never submitted is ABSENT, and no error."""
        assert (await harness.driver.observe(["never"]))["never"].phase is Phase.ABSENT

    async def test_batch(self, harness: Harness, until: Until) -> None:
        """One call reports every handle asked for, whatever state each is in."""
        await harness.driver.submit(harness.launch("done", "ok"))
        await until("done", Phase.ENDED)
        await harness.driver.submit(harness.launch("live", "forever"))
        await until("live", Phase.RUNNING)
        seen = await harness.driver.observe(["done", "live", "never"])
        assert {handle: o.phase for handle, o in seen.items()} == {
            "done": Phase.ENDED,
            "live": Phase.RUNNING,
            "never": Phase.ABSENT,
        }

    async def test_not_yet(self, harness: Harness, until: Until) -> None:
        """Right after submit a launch is PREPARING or further, never ABSENT."""
        await harness.driver.submit(harness.launch("a", "forever"))
        assert (await harness.driver.observe(["a"]))["a"].phase is not Phase.ABSENT
        await until("a", Phase.RUNNING)

    async def test_usage_never_decreases(self, harness: Harness, until: Until) -> None:
        """Cumulative use grows while a launch runs and holds at its end."""
        await harness.driver.submit(harness.launch("a", "forever"))
        first = await until("a", lambda o: o.usage.memory_byte_seconds > 0)
        await harness.driver.stop("a", grace_seconds=5)
        last = await until("a", Phase.ENDED)
        assert last.usage.memory_byte_seconds >= first.usage.memory_byte_seconds
        assert last.usage.cpu_nanoseconds >= first.usage.cpu_nanoseconds

    @pytest.mark.parametrize(
        ("behaviour", "cause", "exit_code"),
        [
            ("fails", ExitCause.FAILED, 3),
            ("out_of_memory", ExitCause.OUT_OF_MEMORY, 137),
            ("disk", ExitCause.DISK_LIMIT, None),
            ("missing_program", ExitCause.LAUNCH_FAILED, None),
        ],
    )
    async def test_causes_are_told_apart(
        self,
        harness: Harness,
        until: Until,
        behaviour: str,
        cause: ExitCause,
        exit_code: int | None,
    ) -> None:
        """An end says why, because a retry policy depends on it, and in words for people."""
        await harness.driver.submit(harness.launch("a", behaviour))
        ended = await until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is cause
        assert exit_code is None or ended.exit.exit_code == exit_code
        assert ended.exit.message

    async def test_time_limit(self, harness: Harness, until: Until) -> None:
        """The engine itself ends a launch at its time limit and says that this was why."""
        await harness.driver.submit(harness.launch("a", "forever", time_limit_seconds=1))
        ended = await until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.TIME_LIMIT


class TestStop:
    async def test_is_idempotent(self, harness: Harness, until: Until) -> None:
        """Stopping twice, and once more after the end, ends it once with cause STOPPED."""
        await harness.driver.submit(harness.launch("a", "forever"))
        await until("a", Phase.RUNNING)
        await harness.driver.stop("a", grace_seconds=5)
        await harness.driver.stop("a", grace_seconds=5)
        ended = await until("a", Phase.ENDED)
        await harness.driver.stop("a", grace_seconds=5)
        assert (await until("a", Phase.ENDED)) == ended
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.STOPPED

    async def test_kills_after_the_grace(self, harness: Harness, until: Until) -> None:
        """A program that ignores SIGTERM is killed when the grace is over."""
        await harness.driver.submit(harness.launch("a", "stubborn"))
        await until("a", Phase.RUNNING)
        await harness.driver.stop("a", grace_seconds=1)
        ended = await until("a", Phase.ENDED)
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.signal) == (ExitCause.STOPPED, 9)

    async def test_right_after_submit(self, harness: Harness, until: Until) -> None:
        """A stop that overtakes the start is not lost."""
        await harness.driver.submit(harness.launch("a", "forever"))
        await harness.driver.stop("a", grace_seconds=5)
        ended = await until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.STOPPED

    async def test_unknown_handle(self, harness: Harness) -> None:
        """Stopping and forgetting what never was is fine."""
        await harness.driver.stop("never", grace_seconds=5)
        await harness.driver.forget("never")


class TestRestart:
    async def test_adopts_a_running_launch(self, harness: Harness, until: Until) -> None:
        """A new driver object on the same state finds a running launch, and can stop it."""
        await harness.driver.submit(harness.launch("a", "forever"))
        before = await until("a", Phase.RUNNING)
        harness.restart()
        after = await until("a", Phase.RUNNING)
        assert after.started_at == before.started_at
        await harness.driver.stop("a", grace_seconds=5)
        ended = await until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.STOPPED

    async def test_ended_stays_ended(self, harness: Harness, until: Until) -> None:
        """The end, its log and its idempotence outlive the driver object."""
        launch = harness.launch("a", "ok")
        await harness.driver.submit(launch)
        ended = await until("a", Phase.ENDED)
        harness.restart()
        await harness.driver.submit(launch)
        assert await until("a", Phase.ENDED) == ended
        assert b"hello" in await read_all(harness, "a")

    async def test_a_node_that_dies(self, harness: Harness, until: Until) -> None:
        """A launch whose node dies ends as INTERRUPTED, for good, and is not run again."""
        launch = harness.launch("a", "forever")
        await harness.driver.submit(launch)
        await until("a", Phase.RUNNING)
        harness.kill_node("a")
        ended = await until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.INTERRUPTED
        harness.restart()
        await harness.driver.submit(launch)
        assert await until("a", Phase.ENDED) == ended


class TestLog:
    async def test_by_offset(self, harness: Harness, until: Until) -> None:
        """A log read in small pieces is the log, while it runs and afterwards."""
        await harness.driver.submit(harness.launch("a", "forever"))
        await until("a", Phase.RUNNING)
        while b"hello" not in await read_all(harness, "a"):
            await harness.tick()
        chunk = await harness.driver.read_log("a", offset=0, bytes_max=3)
        assert (len(chunk.data), chunk.next_offset, chunk.complete) == (3, 3, False)
        await harness.driver.stop("a", grace_seconds=5)
        await until("a", Phase.ENDED)
        whole = await harness.driver.read_log("a", offset=0, bytes_max=10_000)
        assert whole.complete
        assert whole.data == await read_all(harness, "a")

    async def test_end_of_a_running_log_is_not_complete(
        self, harness: Harness, until: Until
    ) -> None:
        """At the end of what is written so far there is nothing to read, and more may come."""
        await harness.driver.submit(harness.launch("a", "forever"))
        await until("a", Phase.RUNNING)
        chunk = await harness.driver.read_log("a", offset=10_000, bytes_max=100)
        assert (chunk.data, chunk.next_offset, chunk.complete) == (b"", 10_000, False)

    async def test_unknown_handle(self, harness: Harness) -> None:
        """The log of an unknown handle is empty and complete."""
        chunk = await harness.driver.read_log("never", offset=0, bytes_max=100)
        assert (chunk.data, chunk.complete) == (b"", True)


class TestForget:
    async def test_drops_an_ended_launch(self, harness: Harness, until: Until) -> None:
        """After forget the handle is ABSENT, also for a new driver object."""
        await harness.driver.submit(harness.launch("a", "ok"))
        await until("a", Phase.ENDED)
        await harness.driver.forget("a")
        await harness.driver.forget("a")
        harness.restart()
        assert (await harness.driver.observe(["a"]))["a"].phase is Phase.ABSENT

    async def test_keeps_a_running_launch(self, harness: Harness, until: Until) -> None:
        """A launch that has not ended cannot be forgotten: NotYet."""
        await harness.driver.submit(harness.launch("a", "forever"))
        await until("a", Phase.RUNNING)
        with pytest.raises(NotYet):
            await harness.driver.forget("a")


class TestNodes:
    async def test_reports(self, harness: Harness) -> None:
        """A driver discovers its nodes with processors, memory and disk."""
        (node,) = await harness.driver.nodes()
        assert node.name == "node-1"
        assert min(node.cpu_millis, node.memory_bytes, node.disk_bytes) > 0
