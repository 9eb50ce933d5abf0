"""A launch cannot take more than it was given, and its end says which limit it was."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.drivers.local.lab import PYTHON, Lab

from galerne.drivers.base import ExitCause, Phase, Resources
from galerne.drivers.errors import EngineUnavailable, LaunchRefused
from galerne.drivers.local.cgroups import GroupV1
from galerne.drivers.local.discovery import Platform
from galerne.drivers.local.nvml import Device

ONE_ACCELERATOR = Resources(1000, 200_000_000, 20_000_000, accelerators=1)
TRAP = "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.1; done"


class TestStop:
    async def test_program_gets_sigterm_and_keeps_its_exit_code(self, lab: Lab) -> None:
        """SIGTERM reaches the program itself through the sandbox, and its own exit code comes back."""
        await lab.start("a", "sh", "-c", TRAP)
        await lab.driver.stop("a", grace_seconds=5)
        ended = await lab.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.exit_code) == (ExitCause.STOPPED, 7)
        assert "got" in await lab.log("a")

    async def test_time_limit_is_graceful_too(self, lab: Lab) -> None:
        """At its time limit a program gets SIGTERM first, and the cause is TIME_LIMIT."""
        ended = await lab.run("a", "sh", "-c", TRAP, time_limit_seconds=1)
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.exit_code) == (ExitCause.TIME_LIMIT, 7)

    async def test_second_stop_can_shorten_the_grace(self, lab: Lab) -> None:
        """Who asks again with a shorter grace gets it."""
        await lab.start("a", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
        await lab.driver.stop("a", grace_seconds=3600)
        await lab.driver.stop("a", grace_seconds=0)
        ended = await lab.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.signal) == (ExitCause.STOPPED, 9)


class TestExit:
    @pytest.mark.parametrize("code", [1, 126, 127, 255])
    async def test_codes(self, lab: Lab, code: int) -> None:
        """The program's own exit code is FAILED with that code, also the shell's special ones."""
        ended = await lab.run("a", "sh", "-c", f"exit {code}")
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.exit_code) == (ExitCause.FAILED, code)

    @pytest.mark.parametrize(
        ("argv", "words"), [("no-such-program", "not found"), ("/etc", "cannot be run")]
    )
    async def test_program_that_cannot_start(self, lab: Lab, argv: str, words: str) -> None:
        """A program that is not there, or none, is LAUNCH_FAILED and named in the message."""
        ended = await lab.run("a", argv)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.LAUNCH_FAILED
        assert argv in ended.exit.message
        assert words in ended.exit.message


@pytest.mark.usefixtures("limited")
class TestMachine:
    async def test_cpu(self, lab: Lab) -> None:
        """A busy loop with a fifth of a core gets about a fifth of the time."""
        busy = "import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass"
        resources = Resources(200, 200_000_000, 20_000_000)
        ended = await lab.run("a", PYTHON, "-I", "-S", "-c", busy, resources=resources)
        assert ended.usage.cpu_nanoseconds < 0.6e9
        assert ended.usage.cpu_nanoseconds > 0.1e9

    async def test_memory(self, lab: Lab) -> None:
        """A program beyond its memory is killed by the kernel; the cause is OUT_OF_MEMORY."""
        ended = await lab.run("a", PYTHON, "-c", "x = b'x' * 400_000_000")
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.signal) == (ExitCause.OUT_OF_MEMORY, 9)
        assert 100_000_000 < ended.usage.memory_peak_bytes <= 200_000_000

    async def test_fork_bomb(self, lab: Lab) -> None:
        """A program that forks without end is held at its process limit, and ends when it is stopped."""
        bomb = "import os\nprint('ready', flush=True)\nwhile True:\n try: os.fork()\n except OSError: pass"
        await lab.start("a", PYTHON, "-I", "-S", "-c", bomb)
        await lab.until("a", lambda o: o.usage.cpu_nanoseconds > 300_000_000)
        group = lab.group("a")
        members = GroupV1({"pids": str(group)}).pids()
        assert 10 < len(members) <= 66
        await lab.driver.stop("a", grace_seconds=0)
        ended = await lab.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.STOPPED
        await lab.wait_for_shim("a")
        assert not group.exists()


class TestAccelerators:
    async def test_none_here(self, lab: Lab) -> None:
        """A machine without the accelerators asked for refuses the launch."""
        lab.driver.__dict__["_devices"] = []
        with pytest.raises(LaunchRefused) as refused:
            await lab.driver.submit(lab.launch("a", "true", resources=ONE_ACCELERATOR))
        assert refused.value.code == "accelerator_missing"

    async def test_are_allotted_to_one(self, lab: Lab) -> None:
        """Two launches share no accelerator: the second waits and says so. The device is made up."""
        lab.driver.__dict__["_devices"] = [Device(0, 3, "GPU-0", "H100", 80_000, energy=False)]
        script = "echo $CUDA_VISIBLE_DEVICES ready; sleep 60 & wait"
        await lab.start("a", "sh", "-c", script, resources=ONE_ACCELERATOR)
        await lab.driver.submit(lab.launch("b", "sh", "-c", script, resources=ONE_ACCELERATOR))
        await lab.until("b", lambda o: "free accelerator" in o.detail)
        await lab.driver.stop("a", grace_seconds=1)
        first = await lab.until("a", Phase.ENDED)
        await lab.wait_for_log("b", "GPU-0 ready")
        assert first.usage.accelerator_milliseconds > 0


class TestDisk:
    async def test_workspace(self, lab: Lab) -> None:
        """A workspace that outgrows its limit with many files ends the launch with DISK_LIMIT."""
        fill = "echo ready; for i in 1 2 3 4 5; do head -c 9m /dev/zero > f$i; sleep 0.3; done; sleep 60"
        ended = await lab.run("a", "sh", "-c", fill)
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.DISK_LIMIT

    async def test_one_file(self, lab: Lab) -> None:
        """No file grows beyond the limit, not even for a moment."""
        ended = await lab.run("a", "sh", "-c", "head -c 90m /dev/zero > big")
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.DISK_LIMIT
        assert (lab.directory / "workspaces" / "a" / "big").stat().st_size <= 20_000_000


class TestLog:
    async def test_flood(self, lab: Lab) -> None:
        """A flood neither blocks the program nor fills the disk, and the log says what was dropped."""
        ended = await lab.run(
            "a", "sh", "-c", "yes | head -c 60m; echo the end", log_bytes_max=100_000
        )
        assert ended.exit is not None
        assert ended.exit.cause is ExitCause.COMPLETED
        assert lab.log_bytes("a") <= 100_000
        chunk = await lab.driver.read_log("a", offset=0, bytes_max=100)
        assert chunk.data.startswith(b"[galerne] ")
        assert b"bytes of output were dropped here\n" in chunk.data
        assert chunk.dropped_bytes > 60_000_000
        total = 60 * 1024 * 1024 + len("the end\n")
        tail = await lab.driver.read_log("a", offset=total - 8, bytes_max=100)
        assert (tail.data, tail.next_offset, tail.complete) == (b"the end\n", total, True)


class TestFullDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        """A file system with room for little more than one launch's records."""
        mount = tmp_path / "small"
        mount.mkdir()
        command = ["/bin/mount", "-t", "tmpfs", "-o", "size=400k", "galerne-test", str(mount)]
        if os.geteuid() != 0 or subprocess.run(command, check=False).returncode != 0:  # noqa: S603 - ours
            pytest.skip("mounting a small file system needs root")
        yield mount
        subprocess.run(["/bin/umount", "--lazy", str(mount)], check=True)  # noqa: S603 - ours

    async def test_nothing_is_lost(self, tmp_path: Path, small_disk: Path, found: Platform) -> None:
        """With a full state directory a running launch can be stopped and its end is recorded.

        A new submit fails with a clear error and leaves nothing; once there is room, it works.
        """
        lab = Lab(tmp_path, platform=found, state_dir=small_disk / "state")
        noisy = "trap 'exit 7' TERM; echo ready; while :; do echo noise; sleep 0.05; done"
        await lab.start("a", "sh", "-c", noisy)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                _fill(file.fileno(), size)
        with pytest.raises(EngineUnavailable, match="full"):
            await lab.driver.submit(lab.launch("b", "true"))
        assert (await lab.observe("b")).phase.value == "absent"
        await lab.driver.stop("a", grace_seconds=5)
        ended = await lab.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.exit_code) == (ExitCause.STOPPED, 7)
        filler.unlink()
        again = await lab.run("b", "true")
        assert again.exit is not None
        assert again.exit.cause is ExitCause.COMPLETED
        await lab.close()


def _fill(descriptor: int, size: int) -> None:
    try:
        while True:
            os.write(descriptor, b"x" * size)
    except OSError:
        return
