"""One harness per driver, so that the contract suite can say what it wants and not how it is done."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from galerne.drivers.base import (
    Driver,
    Launch,
    NodeReport,
    Observation,
    Phase,
    Resources,
)
from galerne.drivers.fake.driver import FakeDriver
from galerne.drivers.local import records
from galerne.drivers.local.driver import LocalDriver
from galerne.kit.clock import ManualClock, SystemClock

NODE = "node-1"
POLL_SECONDS = 0.02
POLLS_MAX = 750


Until = Callable[[str, Phase | Callable[[Observation], bool]], Awaitable[Observation]]


class Harness(Protocol):
    """What the suite needs from a driver under test."""

    @property
    def driver(self) -> Driver:
        """The driver under test, the newest one."""
        ...

    def launch(self, handle: str, behaviour: str, **changes: object) -> Launch:
        """Spell a launch that behaves as said: ok, fails, forever, stubborn, slow_start, …"""
        ...

    def restart(self) -> Driver:
        """Throw the driver object away and build another on the same state."""
        ...

    async def tick(self) -> None:
        """Let some time pass."""
        ...

    def kill_node(self, handle: str) -> None:
        """Let the node of a launch die."""
        ...


async def observe(harness: Harness, handle: str) -> Observation:
    return (await harness.driver.observe([handle]))[handle]


async def until(
    harness: Harness, handle: str, wanted: Callable[[Observation], bool]
) -> Observation:
    """Poll until the observation is as wanted; the bound is some seconds of real or simulated time."""
    for _ in range(POLLS_MAX):
        observation = await observe(harness, handle)
        if wanted(observation):
            return observation
        await harness.tick()
    last = await observe(harness, handle)
    raise AssertionError(f"{handle} never got there: {last}")


class FakeHarness:
    """The fake driver on a clock that the harness moves."""

    driver: FakeDriver
    BEHAVIOURS: Mapping[str, Mapping[str, str]] = {
        "ok": {"RUN_SECONDS": "1", "LOG": "hello"},
        "fails": {"RUN_SECONDS": "1", "EXIT_CODE": "3"},
        "forever": {"RUN_SECONDS": "forever", "LOG": "hello"},
        "out_of_memory": {"RUN_SECONDS": "1", "CAUSE": "out_of_memory"},
        "disk": {"RUN_SECONDS": "1", "CAUSE": "disk_limit"},
        "missing_program": {"CAUSE": "launch_failed"},
        "stubborn": {"RUN_SECONDS": "forever", "STOP_SECONDS": "60"},
    }

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
        self.restart()

    def restart(self) -> FakeDriver:
        node = NodeReport(NODE, 8000, 2**34, 2**40)
        self.driver = FakeDriver([node], self._clock, journal_path=self._directory / "fake.jsonl")
        return self.driver

    def launch(self, handle: str, behaviour: str, **changes: object) -> Launch:
        env = {f"GALERNE_FAKE_{k}": v for k, v in self.BEHAVIOURS[behaviour].items()}
        return spell(self._directory, handle, ("simulated",), env, changes)

    async def tick(self) -> None:
        await self._clock.sleep(0.5)

    def kill_node(self, handle: str) -> None:  # noqa: ARG002 - there is one node
        self.driver.kill_node(NODE)


class LocalHarness:
    """The local driver with real processes."""

    driver: LocalDriver
    BEHAVIOURS: Mapping[str, tuple[str, ...]] = {
        "ok": ("sh", "-c", "echo hello; sleep 0.1"),
        "fails": ("sh", "-c", "exit 3"),
        "forever": ("sh", "-c", "echo hello; sleep 600 & wait"),
        "out_of_memory": ("sh", "-c", "head -c 600m /dev/zero | tail -c 600m >/dev/null"),
        "disk": ("sh", "-c", "head -c 30m /dev/zero > big"),
        "missing_program": ("no-such-program",),
        "stubborn": ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"),
    }

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._drivers: list[LocalDriver] = []
        self.restart()

    def restart(self) -> LocalDriver:
        self.driver = LocalDriver(self._directory / "state", {}, SystemClock(), NODE)
        self._drivers.append(self.driver)
        return self.driver

    def launch(self, handle: str, behaviour: str, **changes: object) -> Launch:
        return spell(self._directory, handle, self.BEHAVIOURS[behaviour], {}, changes)

    async def tick(self) -> None:
        await asyncio.sleep(POLL_SECONDS)

    def kill_node(self, handle: str) -> None:
        """Kill the supervisor: the program dies with it, as with the machine."""
        directory = str(self._directory / "state" / "launches" / handle)
        os.kill(records.read(directory, records.SHIM)["pid"], signal.SIGKILL)

    async def close(self) -> None:
        """End what a test left running, and reap it."""
        handles = [path.name for path in (self._directory / "state" / "launches").iterdir()]
        for handle in handles:
            await self.driver.stop(handle, grace_seconds=0)
        for handle in handles:
            await until(self, handle, lambda o: o.phase is not Phase.RUNNING)
        for driver in self._drivers:
            await driver.close()


def spell(
    directory: Path,
    handle: str,
    argv: tuple[str, ...],
    env: dict[str, str],
    changes: dict[str, object],
) -> Launch:
    workspace = directory / "workspaces" / handle
    workspace.mkdir(parents=True, exist_ok=True)
    values: dict[str, object] = {
        "handle": handle,
        "name": handle,
        "nodes": (NODE,),
        "argv": argv,
        "env": env,
        "resources": Resources(1000, 200_000_000, 20_000_000, pids_max=64),
        "workspace": workspace,
        "grace_seconds": 5,
    }
    return Launch(**{**values, **changes})  # type: ignore[arg-type]  # a builder for tests
