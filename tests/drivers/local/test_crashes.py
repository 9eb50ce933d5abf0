"""Whatever is killed when, nothing is lost and nothing runs twice."""

import asyncio
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.drivers.local.lab import Lab, is_running, processes_with

import galerne
from galerne.drivers.base import ExitCause, Observation, Phase
from galerne.drivers.local import records
from galerne.drivers.local.discovery import Platform
from galerne.kit.clock import ManualClock

READY = ("sh", "-c", "echo ready; sleep 600 & wait")
MARK = ("sh", "-c", "echo ran >> mark; echo ready")


def cause(observation: Observation) -> ExitCause:
    assert observation.exit is not None
    return observation.exit.cause


def marks(lab: Lab, handle: str) -> int:
    """Count how often the program ran."""
    path = lab.directory / "workspaces" / handle / "mark"
    return path.read_text(encoding="ascii").count("ran") if path.exists() else 0


class TestControlPlane:
    async def test_killed_after_submit(self, lab: Lab, tmp_path: Path) -> None:
        """A launch goes on when the process that submitted it is killed, and is adopted with its log."""
        workspace = tmp_path / "workspaces" / "a"
        workspace.mkdir(parents=True)
        script = f"""
import asyncio, os
from pathlib import Path
from galerne.drivers.base import Launch, Resources
from galerne.drivers.local.driver import LocalDriver
from galerne.kit.clock import SystemClock
launch = Launch("a", "a", ("node-1",), ("sh", "-c", "sleep 0.3; echo survived"), {{}},
    Resources(1000, 10**8, 10**7), Path({str(workspace)!r}))
async def main():
    driver = LocalDriver(Path({str(lab.state_dir)!r}), {{}}, SystemClock(), "node-1")
    await driver.submit(launch)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
        env = {"PYTHONPATH": str(Path(galerne.__file__).parent.parent)}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env=env)
        assert await process.wait() == -signal.SIGKILL
        ended = await lab.until("a", Phase.ENDED)
        assert cause(ended) is ExitCause.COMPLETED
        assert await lab.log("a") == "survived\n"

    async def test_killed_before_the_shim_started(self, lab: Lab) -> None:
        """A launch that was accepted and never started is started by the next submit, once."""
        launch = lab.launch("a", *MARK)
        await lab.accept(launch)
        await lab.driver.submit(launch)
        await lab.until("a", Phase.ENDED)
        assert marks(lab, "a") == 1

    async def test_observe_starts_what_submit_could_not(self, lab: Lab) -> None:
        """Nobody has to submit again: observing an accepted launch starts it, once."""
        await lab.accept(lab.launch("a", *MARK))
        assert cause(await lab.until("a", Phase.ENDED)) is ExitCause.COMPLETED
        assert marks(lab, "a") == 1

    async def test_killed_while_accepting(self, lab: Lab) -> None:
        """A half-accepted launch is no launch: ABSENT, and free to be submitted."""
        (lab.state_dir / "launches" / ".new-0123").mkdir()
        assert (await lab.observe("a")).phase is Phase.ABSENT
        assert cause(await lab.run("a", "true")) is ExitCause.COMPLETED


class TestShim:
    async def test_killed(self, lab: Lab) -> None:
        """The program dies with its supervisor, the end is INTERRUPTED, and its group is gone."""
        await lab.start("a", *READY)
        pid = records.read(lab.record_directory("a"), records.RUNNING)["pid"]
        lab.kill_shim("a")
        ended = await lab.until("a", Phase.ENDED)
        assert cause(ended) is ExitCause.INTERRUPTED
        assert not is_running(pid)
        if lab.driver._platform.cgroups is not None:
            assert not lab.group("a").exists()

    async def test_killed_loses_seconds_of_usage_at_most(self, lab: Lab) -> None:
        """What was used until the last sample is kept, and the end is then, not when somebody looked."""
        await lab.start("a", *READY)
        seen = await lab.until("a", lambda o: o.usage.cpu_nanoseconds > 0)
        lab.kill_shim("a")
        await asyncio.sleep(0.5)
        ended = await lab.until("a", Phase.ENDED)
        assert ended.usage.cpu_nanoseconds >= seen.usage.cpu_nanoseconds
        assert ended.ended_at is not None
        assert time.time() - ended.ended_at.timestamp() > 0.5

    async def test_killed_between_its_name_and_the_start(self, lab: Lab) -> None:
        """A supervisor that died before the program's start leaves an end, not a second chance to run."""
        launch = lab.launch("a", *MARK)
        await lab.accept(launch)
        gone = await asyncio.create_subprocess_exec("sleep", "60")
        identity = records.identify(gone.pid, started_at=0.0)
        gone.kill()
        await gone.wait()
        records.write(lab.record_directory("a"), records.SHIM, identity)
        await lab.driver.submit(launch)
        assert cause(await lab.until("a", Phase.ENDED)) is ExitCause.INTERRUPTED
        assert marks(lab, "a") == 0

    @pytest.mark.parametrize(
        ("change", "message"),
        [({"start_ticks": 1}, "its supervisor died"), ({"boot_id": "x"}, "the node was restarted")],
    )
    async def test_its_pid_in_other_hands(
        self, lab: Lab, change: dict[str, object], message: str
    ) -> None:
        """A living process with the supervisor's old pid, or of another boot, is not the supervisor."""
        await lab.accept(lab.launch("a", *MARK))
        identity = records.identify(os.getpid(), started_at=0.0)
        records.write(lab.record_directory("a"), records.SHIM, {**identity, **change})
        ended = await lab.observe("a")
        assert cause(ended) is ExitCause.INTERRUPTED
        assert ended.exit is not None
        assert message in ended.exit.message
        assert marks(lab, "a") == 0

    async def test_a_second_one_does_nothing(self, lab: Lab) -> None:
        """Supervisors started for a handle that runs or has run leave at once."""
        await lab.start("a", "sh", "-c", "echo ran >> mark; echo ready; sleep 0.5")
        for _ in range(2):
            lab.driver._spawns.clear()
            lab.driver._ensure_shim("a")
        await lab.until("a", Phase.ENDED)
        lab.driver._ensure_shim("a")
        await lab.until("a", Phase.ENDED)
        assert marks(lab, "a") == 1

    async def test_sigterm(self, lab: Lab) -> None:
        """When the machine shuts down the program gets its SIGTERM and the end is INTERRUPTED."""
        await lab.start(
            "a", "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"
        )
        lab.kill_shim("a", signal.SIGTERM)
        ended = await lab.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.exit_code) == (ExitCause.INTERRUPTED, 7)

    async def test_that_cannot_start_is_given_up(self, tmp_path: Path, found: Platform) -> None:
        """After three supervisors that could not start, the launch ends and says why: no crash loop."""
        clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
        lab = Lab(tmp_path, platform=found, clock=clock)
        await lab.accept(lab.launch("a", *MARK))
        records.write(lab.record_directory("a"), records.LAUNCH, {})
        for _ in range(4):
            await lab.observe("a")
            await lab.wait_for_shim("a")
            clock.advance(6)
        ended = await lab.observe("a")
        assert cause(ended) is ExitCause.INTERRUPTED
        assert ended.exit is not None
        assert "KeyError" in ended.exit.message
        await lab.close()


class TestProgram:
    async def test_killed_from_outside(self, lab: Lab) -> None:
        """A program that somebody kills has FAILED with that signal."""
        await lab.start("a", "sh", "-c", "echo ready; kill -9 $$")
        ended = await lab.until("a", Phase.ENDED)
        assert ended.exit is not None
        assert (ended.exit.cause, ended.exit.exit_code, ended.exit.signal) == (
            ExitCause.FAILED,
            137,
            9,
        )

    async def test_leaves_nothing_running(self, lab: Lab) -> None:
        """What a program starts in the background ends with it, and does not hold its log open."""
        began = time.monotonic()
        ended = await lab.run("a", "sh", "-c", "setsid sleep 987654 & echo done")
        assert cause(ended) is ExitCause.COMPLETED
        assert time.monotonic() - began < 5
        assert processes_with("987654") == []
