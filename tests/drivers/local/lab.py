"""A local driver on a directory of its own, and short ways to run something with it."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from galerne.drivers.base import Launch, Observation, Phase, Resources
from galerne.drivers.local import records
from galerne.drivers.local.discovery import Platform
from galerne.drivers.local.driver import LocalDriver
from galerne.drivers.local.environments import Image
from galerne.drivers.local.launch_store import LaunchStore
from galerne.kit.clock import Clock, SystemClock

NODE = "node-1"
POLL_SECONDS = 0.02
WAIT_SECONDS_MAX = 20.0
PYTHON = str(Path(sys.base_prefix) / "bin" / "python3")


class Lab:
    """Runs real launches below one directory."""

    def __init__(
        self,
        directory: Path,
        *,
        images: Mapping[str, Image] | None = None,
        platform: Platform | None = None,
        clock: Clock | None = None,
        state_dir: Path | None = None,
    ) -> None:
        self.directory = directory
        self.state_dir = state_dir or directory / "state"
        self.driver = LocalDriver(
            self.state_dir, images or {}, clock or SystemClock(), NODE, platform=platform
        )

    def launch(self, handle: str, *argv: str, **changes: object) -> Launch:
        workspace = self.directory / "workspaces" / handle
        workspace.mkdir(parents=True, exist_ok=True)
        values: dict[str, object] = {
            "handle": handle,
            "name": handle,
            "nodes": (NODE,),
            "argv": argv,
            "env": {},
            "resources": Resources(1000, 200_000_000, 20_000_000, pids_max=64),
            "workspace": workspace,
            "grace_seconds": 5,
        }
        return Launch(**{**values, **changes})  # type: ignore[arg-type]  # a builder for tests

    async def accept(self, launch: Launch) -> None:
        """Leave what a submit leaves that was killed before it started a supervisor."""
        store = LaunchStore(self.state_dir / "launches")
        await asyncio.to_thread(store.accept, launch.handle, self.driver._plan(launch))

    async def run(self, handle: str, *argv: str, **changes: object) -> Observation:
        """Run to the end."""
        await self.driver.submit(self.launch(handle, *argv, **changes))
        return await self.until(handle, Phase.ENDED)

    async def start(self, handle: str, *argv: str, **changes: object) -> Observation:
        """Run until it has written `ready`."""
        await self.driver.submit(self.launch(handle, *argv, **changes))
        await self.wait_for_log(handle, "ready")
        return await self.observe(handle)

    async def observe(self, handle: str) -> Observation:
        return (await self.driver.observe([handle]))[handle]

    async def until(
        self, handle: str, wanted: Phase | Callable[[Observation], bool]
    ) -> Observation:
        def is_wanted(observation: Observation) -> bool:
            if isinstance(wanted, Phase):
                return observation.phase is wanted
            return wanted(observation)

        give_up_at = time.monotonic() + WAIT_SECONDS_MAX
        while not is_wanted(observation := await self.observe(handle)):
            assert time.monotonic() < give_up_at, f"{handle} never got there: {observation}"
            await asyncio.sleep(POLL_SECONDS)
        return observation

    async def wait_for_log(self, handle: str, text: str) -> None:
        give_up_at = time.monotonic() + WAIT_SECONDS_MAX
        while text not in await self.log(handle):
            observation = await self.observe(handle)
            assert observation.phase is not Phase.ENDED, observation
            assert time.monotonic() < give_up_at, f"{handle} never wrote {text}: {observation}"
            await asyncio.sleep(POLL_SECONDS)

    async def log(self, handle: str) -> str:
        chunk = await self.driver.read_log(handle, offset=0, bytes_max=10_000_000)
        return chunk.data.decode(errors="replace")

    def record_directory(self, handle: str) -> str:
        return str(self.state_dir / "launches" / handle)

    def handles(self) -> list[str]:
        return [path.name for path in (self.state_dir / "launches").iterdir()]

    def log_bytes(self, handle: str) -> int:
        """Return what the log takes on disk."""
        return sum(p.stat().st_size for p in Path(self.record_directory(handle), "log").iterdir())

    def group(self, handle: str) -> Path:
        """Return the launch's control group that counts its processes."""
        record = records.read(self.record_directory(handle), records.LAUNCH)
        directories = record["cgroup"]["directories"]
        return Path(directories.get("pids") or directories["unified"])

    async def wait_for_shim(self, handle: str) -> None:
        """Wait until every supervisor of a launch has left; it tidies up after it has recorded the end."""
        directory = self.record_directory(handle)
        give_up_at = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < give_up_at and processes_with(directory):  # noqa: ASYNC110 - processes
            await asyncio.sleep(POLL_SECONDS)

    def kill_shim(self, handle: str, number: int = signal.SIGKILL) -> None:
        os.kill(records.read(self.record_directory(handle), records.SHIM)["pid"], number)

    async def close(self) -> None:
        """End what a test left running, and reap it."""
        handles = self.handles()
        for handle in handles:
            await self.driver.stop(handle, grace_seconds=0)
        for handle in handles:
            await self.until(handle, lambda o: o.phase in {Phase.ENDED, Phase.ABSENT})
        await self.driver.close()


def is_running(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def processes_with(text: str) -> list[int]:
    """Return the processes whose command contains a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if text.encode() in command and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return [pid for pid in found if is_running(pid)]
