"""The supervisor inside the test's own process, where every step of it can be seen.

The other tests run it as it ships, as a process of its own; what is claimed there is not claimed again here.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.drivers.local.lab import Lab

from galerne.drivers.base import ExitCause, Launch, Mount, Resources
from galerne.drivers.local import records
from galerne.drivers.local.discovery import Platform
from galerne.drivers.local.environments import Environments, Image, Requirements
from galerne.drivers.local.image_builder import Builder
from galerne.drivers.local.image_wait import ImageFailedError, ImageWait, is_complete
from galerne.drivers.local.nvml import Device
from galerne.drivers.local.records import ExitRecord, StopRecord
from galerne.drivers.local.sandbox import Tools
from galerne.drivers.local.shim import Shim


class Supervision:
    """One launch and its supervisor, in a thread."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.wake, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    async def prepare(self, launch: Launch) -> Shim:
        self._launch = launch
        await self._lab.accept(launch)
        self.directory = self._lab.record_directory(launch.handle)
        return Shim(self.directory, self.wake)

    async def run(
        self, launch: Launch, *, when: str = "", then: Callable[[Shim], None] | None = None
    ) -> ExitRecord:
        """Supervise to the end; do something once the log says so."""
        shim = await self.prepare(launch)
        running = asyncio.create_task(asyncio.to_thread(shim.run))
        if then is not None:
            await self._lab.wait_for_log(launch.handle, when)
            then(shim)
            os.write(self._wake_write, b"x")
        await running
        record: ExitRecord = records.read(self.directory, records.EXIT)
        return record

    def request_stop(self, _shim: Shim) -> None:
        records.write(self.directory, records.STOP, StopRecord(grace_seconds=0.2))

    def interrupt(self, shim: Shim) -> None:
        shim.interrupted = True

    def close(self) -> None:
        os.close(self.wake)
        os.close(self._wake_write)


@pytest.fixture
def supervision(lab: Lab) -> Iterator[Supervision]:
    supervision = Supervision(lab)
    yield supervision
    supervision.close()


class TestRun:
    async def test_completes(self, lab: Lab, supervision: Supervision) -> None:
        """A program's end is recorded with its times, its usage and its log."""
        record = await supervision.run(
            lab.launch("a", "sh", "-c", "sleep 0.3; echo out; echo err >&2")
        )
        assert (record["cause"], record["exit_code"]) == (ExitCause.COMPLETED, 0)
        assert record["started_at"] is not None
        assert 0.2 < record["ended_at"] - record["started_at"] < 5
        assert record["usage"]["cpu_nanoseconds"] > 0
        assert record["usage"]["memory_byte_seconds"] > 0
        assert await lab.log("a") == "out\nerr\n"

    async def test_stops(self, lab: Lab, supervision: Supervision) -> None:
        """A request by file and wake-up ends a program that ignores SIGTERM, after the grace."""
        launch = lab.launch(
            "a", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"
        )
        record = await supervision.run(launch, when="ready", then=supervision.request_stop)
        assert (record["cause"], record["signal"]) == (ExitCause.STOPPED, 9)

    async def test_is_interrupted(self, lab: Lab, supervision: Supervision) -> None:
        """SIGTERM to the supervisor becomes SIGTERM to the program."""
        launch = lab.launch(
            "a", "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"
        )
        record = await supervision.run(launch, when="ready", then=supervision.interrupt)
        assert (record["cause"], record["exit_code"]) == (ExitCause.INTERRUPTED, 7)

    async def test_ends_at_its_time_limit(self, lab: Lab, supervision: Supervision) -> None:
        """The limit is the supervisor's to enforce, to the second."""
        record = await supervision.run(lab.launch("a", "sleep", "60", time_limit_seconds=1))
        assert record["cause"] == ExitCause.TIME_LIMIT

    async def test_ends_at_its_disk_limit(self, lab: Lab, supervision: Supervision) -> None:
        """A workspace that is too large is seen at the next look."""
        launch = lab.launch(
            "a", "sh", "-c", "for i in 1 2 3; do head -c 9m /dev/zero > $i; done; sleep 60"
        )
        record = await supervision.run(launch)
        assert record["cause"] == ExitCause.DISK_LIMIT

    async def test_program_missing(self, lab: Lab, supervision: Supervision) -> None:
        """A program that is not there has no exit code."""
        record = await supervision.run(lab.launch("a", "no-such-program"))
        assert (record["cause"], record["exit_code"]) == (ExitCause.LAUNCH_FAILED, None)

    async def test_sandbox_that_cannot_be_set_up(
        self, lab: Lab, supervision: Supervision, tmp_path: Path
    ) -> None:
        """An input that went away between submit and start is the launch's failure, and named."""
        source = tmp_path / "source"
        source.touch()
        launch = lab.launch("a", "true", inputs=(Mount(source, "in"),))
        await lab.accept(launch)
        source.unlink()
        shim = Shim(lab.record_directory("a"), supervision.wake)
        await asyncio.to_thread(shim.run)
        record = records.read(lab.record_directory("a"), records.EXIT)
        if lab.driver._platform.tools.bubblewrap is not None:
            assert record["cause"] == ExitCause.LAUNCH_FAILED
            assert "source" in record["message"]


class TestPrepare:
    async def test_stopped_before_it_started(self, lab: Lab, supervision: Supervision) -> None:
        """A request that is there already keeps the program from starting."""
        launch = lab.launch("a", "sh", "-c", "touch ran")
        shim = await supervision.prepare(launch)
        supervision.request_stop(shim)
        await asyncio.to_thread(shim.run)
        record = records.read(supervision.directory, records.EXIT)
        assert (record["cause"], record["started_at"]) == (ExitCause.STOPPED, None)
        assert not (lab.directory / "workspaces" / "a" / "ran").exists()

    async def test_accelerator(self, lab: Lab, supervision: Supervision) -> None:
        """An allotted accelerator is named to the program and counted. The device is made up."""
        lab.driver.__dict__["_devices"] = [Device(0, 3, "GPU-0", "H100", 80_000, energy=False)]
        launch = lab.launch(
            "a", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES", resources=Resources(1, 10**8, 10**7, 1)
        )
        record = await supervision.run(launch)
        assert await lab.log("a") == "GPU-0\n"
        assert record["usage"]["accelerator_milliseconds"] > 0

    async def test_accelerator_that_is_taken(self, lab: Lab, supervision: Supervision) -> None:
        """While another launch holds it, the supervisor waits, says so, and can be stopped."""
        lab.driver.__dict__["_devices"] = [Device(0, 3, "GPU-0", "H100", 80_000, energy=False)]
        shim = await supervision.prepare(
            lab.launch("a", "true", resources=Resources(1, 10**8, 10**7, 1))
        )
        locks = lab.state_dir / "accelerators"
        with (locks / "GPU-0.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            running = asyncio.create_task(asyncio.to_thread(shim.run))
            while records.read(supervision.directory, records.PREPARING) is None:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.02)
            supervision.request_stop(shim)
            await running
        assert records.read(supervision.directory, records.EXIT)["cause"] == ExitCause.STOPPED

    async def test_image_that_fails(self, tmp_path: Path, found: Platform) -> None:
        """The supervisor starts the builder, waits for it, and passes on why it failed."""
        path = tmp_path / "requirements.txt"
        path.write_text("--no-index\nno-such-package==1\n", encoding="ascii")
        images = {"test/image": Image((Requirements(path, hashed=False),))}
        lab = Lab(tmp_path, images=images, platform=found)
        supervision = Supervision(lab)
        shim = await supervision.prepare(lab.launch("a", "true", image="test/image"))
        await asyncio.to_thread(shim.run)
        record = records.read(supervision.directory, records.EXIT)
        assert record["cause"] == ExitCause.LAUNCH_FAILED
        assert "no-such-package" in record["message"]
        supervision.close()
        await lab.close()

    async def test_without_a_sandbox(self, tmp_path: Path) -> None:
        """Plain processes get links to their inputs, and what they use is summed over their tree."""
        tools = Tools(None, "", None)
        lab = Lab(tmp_path, platform=Platform(tools=tools, cgroups=None))
        supervision = Supervision(lab)
        source = tmp_path / "source"
        source.write_text("data", encoding="ascii")
        launch = lab.launch("a", "sh", "-c", "cat in; sleep 0.3", inputs=(Mount(source, "in"),))
        record = await supervision.run(launch)
        assert record["cause"] == ExitCause.COMPLETED
        assert record["usage"]["memory_peak_bytes"] > 0
        assert await lab.log("a") == "data"
        missing = await supervision.run(lab.launch("b", "no-such-program"))
        assert missing["cause"] == ExitCause.LAUNCH_FAILED
        supervision.close()
        await lab.close()


class TestBuilder:
    def test_builds_once_and_says_why_not(self, tmp_path: Path) -> None:
        """A failed build leaves its reason and nothing else; a good one leaves a marker."""
        path = tmp_path / "requirements.txt"
        images = Environments(
            tmp_path / "images", {"test/image": Image((Requirements(path, hashed=False),))}
        )
        path.write_text("--no-index\nno-such-package==1\n", encoding="ascii")
        broken = images.resolve("test/image").record
        assert broken is not None
        wait = ImageWait(broken, python_path=[])
        lock = os.open(broken["directory"] + ".lock", os.O_RDWR | os.O_CREAT)
        Builder(broken, lock).build()
        with pytest.raises(ImageFailedError, match="no-such-package"):
            wait.poll()
        path.write_text("# nothing\n", encoding="ascii")
        empty = images.resolve("test/image").record
        assert empty is not None
        Builder(empty, lock).build()
        os.close(lock)
        assert is_complete(empty["directory"])
        assert ImageWait(empty, python_path=[]).poll() is None
