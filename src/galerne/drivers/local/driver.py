"""The driver of this machine: turns launches into supervised processes and files into observations.

It holds no launch: a new object on the same state directory knows everything this one does. A shim per
launch does the work (`shim`), so this process may be killed at any moment. Which node, which port and which
device a launch should get is decided above; what a launch may see and use is spelled in `sandbox` and
`cgroups`.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, TypeVar

import pynvml

import galerne
from galerne.drivers.base import (
    Driver,
    EnergyMethod,
    Exit,
    ExitCause,
    Launch,
    LogChunk,
    NodeReport,
    Observation,
    Phase,
    Usage,
)
from galerne.drivers.errors import EngineUnavailable, LaunchRefused, NotYet
from galerne.drivers.local import cgroups, nvml, records, sandbox, segments
from galerne.drivers.local.discovery import Platform, discover
from galerne.drivers.local.environments import Environments, Image
from galerne.drivers.local.launch_store import LaunchStore
from galerne.drivers.local.records import (
    AcceleratorRecord,
    ExitRecord,
    Identity,
    LaunchRecord,
    StopRecord,
    UsageRecord,
)
from galerne.drivers.local.sandbox import View
from galerne.drivers.local.spawn import spawn_helper
from galerne.kit.clock import Clock

T = TypeVar("T")

SPAWN_SECONDS = 5.0
SPAWNS_MAX = 3
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_ENV_NAME = re.compile(r"[^=\0]+")
_BUILD_ENVIRONMENT = re.compile(
    r"PATH|HOME|LANG|TMPDIR|PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|(?i:https?_proxy|no_proxy|all_proxy)"
)


class LocalDriver(Driver):
    """Processes of this machine under one state directory."""

    name: ClassVar[str] = "local"

    def __init__(
        self,
        state_dir: Path,
        images: Mapping[str, Image],
        clock: Clock,
        node_name: str,
        *,
        platform: Platform | None = None,
    ) -> None:
        """Take up the launches below `state_dir`; `platform` is found by trying unless given."""
        self._state_dir = state_dir.absolute()
        self._clock = clock
        self._node_name = node_name
        self._given_platform = platform
        self._store = LaunchStore(self._state_dir / "launches")
        self._store.sweep(now=clock.now().timestamp())
        self._environments = Environments(self._state_dir / "images", images)
        self._owner = f"galerne-{hashlib.sha256(bytes(self._state_dir)).hexdigest()[:12]}"
        self._spawns: dict[str, tuple[int, float]] = {}
        self._children: set[int] = set()

    async def nodes(self) -> Sequence[NodeReport]:
        return [await _blocking(self._discover)]

    async def submit(self, launch: Launch) -> None:
        await _blocking(lambda: self._submit(launch))

    async def observe(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        return await _blocking(lambda: self._observe_all(handles))

    async def stop(self, handle: str, *, grace_seconds: int) -> None:
        await _blocking(lambda: self._stop(handle, grace_seconds))

    async def forget(self, handle: str) -> None:
        await _blocking(lambda: self._forget(handle))

    async def read_log(self, handle: str, *, offset: int, bytes_max: int) -> LogChunk:
        return await _blocking(lambda: self._read_log(handle, offset, bytes_max))

    async def close(self) -> None:
        self._reap()

    @cached_property
    def _platform(self) -> Platform:
        return self._given_platform or Platform.detect()

    @cached_property
    def _devices(self) -> list[nvml.Device]:
        return nvml.devices()

    def _discover(self) -> NodeReport:
        return discover(self._node_name, self._state_dir, self._platform)

    def _submit(self, launch: Launch) -> None:
        check_handle(launch.handle)
        if not self._store.exists(launch.handle):
            check_launch(launch, node_name=self._node_name)
            self._store.accept(launch.handle, self._plan(launch))
        if self._store.shim(launch.handle) is None and self._store.exit(launch.handle) is None:
            self._ensure_shim(launch.handle)

    def _plan(self, launch: Launch) -> LaunchRecord:
        """Spell everything the shim needs, so that it decides nothing."""
        environment = self._environments.resolve(launch.image)
        identity = self._state_dir / "identity"
        sandbox.write_identity(identity)
        tools = self._platform.tools
        view = View(identity, environment.readable, environment.path)
        resources = launch.resources
        return LaunchRecord(
            handle=launch.handle,
            accepted_at=self._clock.now().timestamp(),
            sandbox=sandbox.command(launch, tools, view),
            command=list(launch.argv),
            env=sandbox.environment(launch, view, bubblewrap=tools.bubblewrap is not None),
            workspace=str(launch.workspace),
            inputs=[(str(mount.source), mount.target) for mount in launch.inputs],
            bubblewrap=tools.bubblewrap is not None,
            cpu_millis=resources.cpu_millis,
            memory_bytes=resources.memory_bytes,
            disk_bytes=resources.disk_bytes,
            pids_max=resources.pids_max,
            accelerators=resources.accelerators,
            accelerator_candidates=self._accelerator_candidates(launch),
            accelerator_locks=str(self._state_dir / "accelerators"),
            time_limit_seconds=launch.time_limit_seconds,
            grace_seconds=launch.grace_seconds,
            log_bytes_max=launch.log_bytes_max,
            cgroup=cgroups.plan(self._platform.cgroups, owner=self._owner, handle=launch.handle),
            image=environment.record,
            python_path=_python_path(),
        )

    def _accelerator_candidates(self, launch: Launch) -> list[AcceleratorRecord]:
        """Return the devices that would do; the shim takes free ones."""
        wanted = launch.resources
        if not wanted.accelerators:
            return []
        fitting = [
            AcceleratorRecord(number=device.number, minor=device.minor, uuid=device.uuid)
            for device in self._devices
            if wanted.accelerator_type in {None, device.type}
        ]
        if len(fitting) < wanted.accelerators:
            raise LaunchRefused(
                f"{wanted.accelerators} accelerators {wanted.accelerator_type or ''} were asked for; "
                f"this machine has {len(fitting)}",
                code="accelerator_missing",
                hint="ask for fewer, or for a node that has them",
            )
        (self._state_dir / "accelerators").mkdir(mode=0o700, exist_ok=True)
        return fitting

    def _ensure_shim(self, handle: str) -> None:
        """Start a supervisor for a launch that never had one; the launch's lock lets only one through."""
        count, last = self._spawns.get(handle, (0, 0.0))
        now = self._clock.monotonic()
        if count and now - last < SPAWN_SECONDS:
            return
        if count >= SPAWNS_MAX:
            self._give_up(handle)
            return
        self._spawns[handle] = (count + 1, now)
        directory = self._store.directory(handle)
        env = {k: v for k, v in os.environ.items() if _BUILD_ENVIRONMENT.fullmatch(k)}
        pid = spawn_helper(
            "shim",
            [directory],
            python_path=_python_path(),
            env=env,
            errors=f"{directory}/{records.ERRORS}",
        )
        self._children.add(pid)

    def _give_up(self, handle: str) -> None:
        tail = self._error_tail(handle)
        self._store.interrupt(
            handle,
            cause=ExitCause.INTERRUPTED,
            message=f"its supervisor could not be started {SPAWNS_MAX} times: {tail}",
            now=self._clock.now().timestamp(),
        )

    def _error_tail(self, handle: str) -> str:
        path = Path(self._store.directory(handle)) / records.ERRORS
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "it left no message"
        return lines[-1] if lines else "it left no message"

    def _observe_all(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        self._reap()
        return {handle: self._observe(handle) for handle in handles}

    def _observe(self, handle: str) -> Observation:
        if not _HANDLE.fullmatch(handle):
            return Observation(Phase.ABSENT)
        if (ended := self._store.exit(handle)) is not None:
            self._spawns.pop(handle, None)
            return _ended(ended)
        if not self._store.exists(handle):
            return Observation(Phase.ABSENT)
        shim = self._store.shim(handle)
        if shim is None:
            self._ensure_shim(handle)
            return Observation(Phase.PREPARING, "waiting for its supervisor")
        if not self._store.is_supervised(shim):
            record = self._adopt_orphan(handle, shim)
            if record is not None:
                return _ended(record)
        return self._observe_supervised(handle)

    def _adopt_orphan(self, handle: str, shim: Identity) -> ExitRecord | None:
        """Record the end of a launch whose supervisor is dead."""
        same_boot = self._store.is_of_this_boot(shim)
        why = f"its supervisor died: {self._error_tail(handle)}"
        return self._store.interrupt(
            handle,
            cause=ExitCause.INTERRUPTED,
            message=why if same_boot else "the node was restarted",
            now=self._clock.now().timestamp(),
        )

    def _observe_supervised(self, handle: str) -> Observation:
        running = self._store.running(handle)
        if running is None:
            return Observation(Phase.PREPARING, self._store.preparing(handle))
        return Observation(
            Phase.RUNNING,
            started_at=_time(running["started_at"]),
            usage=_usage(self._store.usage(handle)),
        )

    def _stop(self, handle: str, grace_seconds: int) -> None:
        known = _HANDLE.fullmatch(handle) and self._store.exists(handle)
        if known and self._store.exit(handle) is None:
            self._store.request_stop(handle, StopRecord(grace_seconds=grace_seconds))
            if self._store.shim(handle) is None:
                self._ensure_shim(handle)

    def _forget(self, handle: str) -> None:
        if not _HANDLE.fullmatch(handle) or not self._store.exists(handle):
            return
        if self._observe(handle).phase is not Phase.ENDED:
            raise NotYet(f"launch {handle} has not ended; stop it before forgetting it")
        self._spawns.pop(handle, None)
        self._store.drop(handle)

    def _read_log(self, handle: str, offset: int, bytes_max: int) -> LogChunk:
        if not _HANDLE.fullmatch(handle) or not self._store.exists(handle):
            return LogChunk(b"", offset, complete=True)
        ended = self._store.exit(handle) is not None  # Asked first: what is read then is final.
        directory = f"{self._store.directory(handle)}/{records.LOG}"
        begin, data = segments.read(directory, offset=offset, bytes_max=bytes_max)
        next_offset = begin + len(data)
        dropped = begin - offset
        notice = f"[galerne] {dropped} bytes of output were dropped here\n" if dropped else ""
        return LogChunk(
            data=notice.encode() + data,
            next_offset=next_offset,
            dropped_bytes=dropped,
            complete=ended and next_offset >= segments.end_offset(directory),
        )

    def _reap(self) -> None:
        """Take the exit status of supervisors that are our children, so that no zombie stays."""
        for pid in list(self._children):
            try:
                done, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                done = pid
            if done:
                self._children.discard(pid)


def check_handle(handle: str) -> None:
    """Refuse a handle that is not safe as the name of a directory."""
    if not _HANDLE.fullmatch(handle):
        raise LaunchRefused(
            f"{handle!r} is not a handle",
            code="handle_invalid",
            hint="use up to 128 letters, digits, dots, dashes and underscores",
        )


def check_launch(launch: Launch, *, node_name: str) -> None:
    """Refuse what can never run on this machine."""
    texts = [*launch.argv, *launch.env.values()]
    workspace = launch.workspace
    checks: list[tuple[bool, str, str, str]] = [
        (
            launch.nodes == (node_name,),
            "node_unknown",
            f"nodes {', '.join(launch.nodes)} are not this machine",
            f"the local driver runs on one node, {node_name}",
        ),
        (bool(launch.argv and launch.argv[0]), "command_empty", "no command", "give a program"),
        (
            all("\0" not in text for text in texts) and all(map(_ENV_NAME.fullmatch, launch.env)),
            "command_invalid",
            "a NUL byte in the command or environment, or `=` in a variable's name",
            "take it out",
        ),
        (
            workspace.is_absolute() and workspace.is_dir(),
            "workspace_missing",
            f"workspace {workspace} is not a directory",
            "create it before the launch",
        ),
    ]
    for passed, code, message, hint in checks:
        if not passed:
            raise LaunchRefused(message, code=code, hint=hint)
    for mount in launch.inputs:
        _check_source(mount.source)
        _check_target(mount.target)
    for path in launch.read_only:
        _check_source(path)


def _check_source(source: Path) -> None:
    if not source.is_absolute() or not source.exists():
        raise LaunchRefused(
            f"input {source} does not exist on the node",
            code="input_missing",
            hint="check that the dataset or model is stored on this node",
        )


def _check_target(target: str) -> None:
    path = PurePosixPath(target)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in target:
        raise LaunchRefused(
            f"input target {target!r} does not lie in the workspace",
            code="input_target_invalid",
            hint="give a relative path without `..`",
        )


async def _blocking(call: Callable[[], T]) -> T:
    """Do file work in a thread; a state directory that fails is an engine that does not answer."""
    try:
        return await asyncio.to_thread(call)
    except OSError as error:
        if error.errno in records.FULL_DISK_ERRNOS:
            message = "the disk of the local driver's state directory is full: free some space"
            raise EngineUnavailable(message) from error
        raise EngineUnavailable(f"the local driver's state directory fails: {error}") from error


def _ended(record: ExitRecord) -> Observation:
    started_at = record["started_at"]
    return Observation(
        Phase.ENDED,
        started_at=None if started_at is None else _time(started_at),
        ended_at=_time(record["ended_at"]),
        usage=_usage(record["usage"]),
        exit=Exit(
            cause=ExitCause(record["cause"]),
            exit_code=record["exit_code"],
            signal=record["signal"],
            message=record["message"],
        ),
    )


def _usage(record: UsageRecord) -> Usage:
    method = record["energy_method"]
    return Usage(
        cpu_nanoseconds=record["cpu_nanoseconds"],
        memory_byte_seconds=record["memory_byte_seconds"],
        memory_peak_bytes=record["memory_peak_bytes"],
        accelerator_milliseconds=record["accelerator_milliseconds"],
        energy_microjoules=record["energy_microjoules"],
        energy_method=None if method is None else EnergyMethod(method),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _python_path() -> list[str]:
    """Return where a helper without site packages finds us and the one library it may need."""
    own = Path(galerne.__file__).parent.parent
    return [str(own), str(Path(pynvml.__file__).parent)]
