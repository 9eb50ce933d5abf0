"""The simulated fleet: faults, directives, persistence and size."""

import json
import time
from pathlib import Path

import pytest

from galerne.drivers.base import (
    ExitCause,
    Launch,
    NodeReport,
    Phase,
    Resources,
    SupportsMultinode,
)
from galerne.drivers.errors import EngineUnavailable, LaunchRefused
from galerne.drivers.fake.driver import FakeDriver
from galerne.drivers.fake.simulation import Timing
from galerne.drivers.local.driver import LocalDriver
from galerne.kit.clock import ManualClock

NODES = [NodeReport(f"node-{i}", 8000, 2**36, 2**40) for i in (1, 2)]


def launch(handle: str, *nodes: str, **directives: str) -> Launch:
    return Launch(
        handle=handle,
        name=handle,
        nodes=nodes or ("node-1",),
        argv=("simulated",),
        env={f"GALERNE_FAKE_{name.upper()}": value for name, value in directives.items()},
        resources=Resources(2000, 1000, 10**9, accelerators=4),
        workspace=Path("/nonexistent"),
    )


@pytest.fixture
def driver(clock: ManualClock) -> FakeDriver:
    return FakeDriver(NODES, clock, timing=Timing(start_seconds=5, run_seconds=10))


class TestTime:
    async def test_delays(self, driver: FakeDriver, clock: ManualClock) -> None:
        """A launch prepares, runs and ends when the clock says so, and at no other time."""
        await driver.submit(launch("a"))
        phases = []
        for _ in range(4):
            phases.append((await driver.observe(["a"]))["a"].phase)
            clock.advance(5)
        assert phases == [Phase.PREPARING, Phase.RUNNING, Phase.RUNNING, Phase.ENDED]

    async def test_usage_is_resources_times_time(
        self, driver: FakeDriver, clock: ManualClock
    ) -> None:
        """Simulated usage is what was asked for, on every node, for as long as it ran."""
        await driver.submit(launch("a", "node-1", "node-2"))
        clock.advance(100)
        usage = (await driver.observe(["a"]))["a"].usage
        assert usage.cpu_nanoseconds == 2 * 2 * 10 * 10**9
        assert usage.memory_byte_seconds == 2 * 1000 * 10
        assert usage.accelerator_milliseconds == 2 * 4 * 10_000
        assert usage.energy_microjoules is None

    @pytest.mark.parametrize(
        ("directives", "cause", "exit_code"),
        [
            ({"exit_code": "9"}, ExitCause.FAILED, 9),
            ({"cause": "out_of_memory"}, ExitCause.OUT_OF_MEMORY, 137),
            ({"cause": "launch_failed"}, ExitCause.LAUNCH_FAILED, None),
            ({"cause": "disk_limit"}, ExitCause.DISK_LIMIT, 143),
            ({"run_seconds": "0"}, ExitCause.COMPLETED, 0),
        ],
    )
    async def test_directives(
        self,
        driver: FakeDriver,
        clock: ManualClock,
        directives: dict[str, str],
        cause: ExitCause,
        exit_code: int | None,
    ) -> None:
        """A launch's environment says how it ends."""
        await driver.submit(launch("a", **directives))
        clock.advance(100)
        ended = (await driver.observe(["a"]))["a"]
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.exit_code) == (cause, exit_code)

    @pytest.mark.parametrize(
        "directives",
        [
            {"run_seconds": "soon"},
            {"run_seconds": "-1"},
            {"start_seconds": "forever"},
            {"exit_code": "256"},
            {"cause": "bad luck"},
        ],
    )
    async def test_unreadable_directives(
        self, driver: FakeDriver, directives: dict[str, str]
    ) -> None:
        """A directive that cannot be read is refused with a hint."""
        with pytest.raises(LaunchRefused) as refused:
            await driver.submit(launch("a", **directives))
        assert refused.value.code == "fake_directive_invalid"

    async def test_stop_takes_its_time(self, driver: FakeDriver, clock: ManualClock) -> None:
        """A launch that is slow to stop runs on until it has, within the grace."""
        await driver.submit(launch("a", stop_seconds="2"))
        clock.advance(6)
        await driver.stop("a", grace_seconds=10)
        assert (await driver.observe(["a"]))["a"].phase is Phase.RUNNING
        clock.advance(2)
        ended = (await driver.observe(["a"]))["a"]
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.signal) == (ExitCause.STOPPED, 15)


class TestFaults:
    async def test_node_death(self, driver: FakeDriver, clock: ManualClock) -> None:
        """A dead node takes its launches with it, is not reported, and takes no new ones until it is back."""
        await driver.submit(launch("gang", "node-1", "node-2"))
        await driver.submit(launch("other", "node-2"))
        clock.advance(6)
        driver.kill_node("node-1")
        seen = await driver.observe(["gang", "other"])
        assert seen["gang"].exit is not None
        assert seen["gang"].exit.cause is ExitCause.INTERRUPTED
        assert seen["other"].phase is Phase.RUNNING
        assert [node.name for node in await driver.nodes()] == ["node-2"]
        await driver.submit(launch("late"))
        assert (await driver.observe(["late"]))["late"].phase is Phase.ENDED
        driver.revive_node("node-1")
        assert len(await driver.nodes()) == 2

    async def test_engine_away(self, driver: FakeDriver, clock: ManualClock) -> None:
        """While the engine is away every call says so; afterwards nothing is lost."""
        await driver.submit(launch("a"))
        driver.fail(30)
        for call in (
            driver.nodes(),
            driver.submit(launch("b")),
            driver.observe(["a"]),
            driver.stop("a", grace_seconds=1),
            driver.forget("a"),
            driver.read_log("a", offset=0, bytes_max=1),
        ):
            with pytest.raises(EngineUnavailable):
                await call
        clock.advance(31)
        assert (await driver.observe(["a"]))["a"].phase is Phase.ENDED

    async def test_lost_handle(self, driver: FakeDriver) -> None:
        """A launch that the engine has lost is ABSENT."""
        await driver.submit(launch("a"))
        driver.lose("a")
        assert (await driver.observe(["a"]))["a"].phase is Phase.ABSENT


class TestJournal:
    async def test_restart(self, clock: ManualClock, tmp_path: Path) -> None:
        """With a journal, launches, stops and losses outlive the driver, also behind a cut last line."""
        path = tmp_path / "fake.jsonl"
        driver = FakeDriver(NODES, clock, journal_path=path)
        for handle in ("runs", "stopped", "lost"):
            await driver.submit(launch(handle, run_seconds="forever"))
        clock.advance(1)
        await driver.stop("stopped", grace_seconds=5)
        driver.lose("lost")
        before = await driver.observe(["runs", "stopped", "lost"])
        with path.open("a", encoding="ascii") as file:
            file.write(json.dumps(["cut", {}])[:6])
        again = FakeDriver(NODES, clock, journal_path=path)
        assert await again.observe(["runs", "stopped", "lost"]) == before

    async def test_goes_on_behind_a_cut_line(self, clock: ManualClock, tmp_path: Path) -> None:
        """What is written after a crash is not hidden behind the line that the crash has cut."""
        path = tmp_path / "fake.jsonl"
        path.write_text('["cut', encoding="ascii")
        await FakeDriver(NODES, clock, journal_path=path).submit(launch("a"))
        again = FakeDriver(NODES, clock, journal_path=path)
        assert (await again.observe(["a"]))["a"].phase is Phase.RUNNING


class TestFleet:
    async def test_ten_thousand(self, driver: FakeDriver, clock: ManualClock) -> None:
        """Ten thousand launches are observed in one call, with room to spare in a second."""
        handles = [f"h{i}" for i in range(10_000)]
        for handle in handles:
            await driver.submit(launch(handle))
        clock.advance(6)
        began = time.monotonic()
        seen = await driver.observe(handles)
        assert time.monotonic() - began < 1
        assert {o.phase for o in seen.values()} == {Phase.RUNNING}

    def test_capabilities(self, driver: FakeDriver) -> None:
        """The fleet starts one launch on several nodes; a single machine does not claim to."""
        assert isinstance(driver, SupportsMultinode)
        assert not issubclass(LocalDriver, type(driver))
        assert not hasattr(LocalDriver, "multinode")
