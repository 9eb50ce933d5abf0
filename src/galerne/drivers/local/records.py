# Shims import this module, and pathlib would cost each of them several milliseconds.
# ruff: noqa: PTH104, PTH108, PTH110, PTH118, PTH123
"""The durable protocol between the driver and the shims: which files exist, how they are written.

One directory per launch, `<state_dir>/launches/<handle>/`:

    launch.json     written by the driver before anything starts; never changes
    lock            held with flock by the one shim that may run the handle
    shim.json       the shim's identity, written before the program starts: a handle runs at most once
    preparing.json  what the shim waits for
    running.json    the program's identity
    usage.json      cumulative use, about once a second
    stop.json       written by the driver: please end
    exit.json       how it ended; never changes
    log/            the merged output, see `segments`

Every write is whole or absent (temporary file, fsync, rename). The four files that must not be lost to
a full disk are written into blocks reserved when the launch was accepted. Shims import this module:
keep it small. What the records mean for a launch is for `shim` and `driver` to say.
"""

import errno
import json
import os
from typing import Any, TypedDict

LAUNCH = "launch.json"
LOCK = "lock"
SHIM = "shim.json"
PREPARING = "preparing.json"
RUNNING = "running.json"
USAGE = "usage.json"
STOP = "stop.json"
EXIT = "exit.json"
LOG = "log"
ERRORS = "shim.err"

RESERVED = (SHIM, RUNNING, STOP, EXIT)
RESERVE_BYTES = 4096
MESSAGE_CHARACTERS_MAX = 1500
FULL_DISK_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


class Identity(TypedDict):
    """Which process, beyond doubt: a pid is used again, a pid with its start time is not."""

    pid: int
    start_ticks: int
    boot_id: str
    started_at: float


class Cgroup(TypedDict):
    """Where the launch's control groups are: one directory per v1 controller, or one for v2."""

    version: int
    directories: dict[str, str]


class ImageRecord(TypedDict):
    """What the shim needs to wait for an image, or to have it built."""

    name: str
    directory: str
    requirements: list[tuple[str, bool]]
    own_pip: bool


class AcceleratorRecord(TypedDict):
    """One accelerator that a launch may get."""

    number: int
    minor: int
    uuid: str


class LaunchRecord(TypedDict):
    """A launch as accepted: the command is final, the limits are numbers."""

    handle: str
    accepted_at: float
    sandbox: list[str]
    command: list[str]
    env: dict[str, str]
    workspace: str
    inputs: list[tuple[str, str]]
    bubblewrap: bool
    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    pids_max: int
    accelerators: int
    accelerator_candidates: list[AcceleratorRecord]
    accelerator_locks: str
    time_limit_seconds: int | None
    grace_seconds: int
    log_bytes_max: int
    cgroup: Cgroup | None
    image: ImageRecord | None
    python_path: list[str]


class UsageRecord(TypedDict):
    """Cumulative use; the fields of `galerne.drivers.base.Usage`."""

    cpu_nanoseconds: int
    memory_byte_seconds: int
    memory_peak_bytes: int
    accelerator_milliseconds: int
    energy_microjoules: int | None
    energy_method: str | None


class StopRecord(TypedDict):
    """A request to end."""

    grace_seconds: float


class ExitRecord(TypedDict):
    """How a launch ended; the fields of `galerne.drivers.base.Exit` and when."""

    cause: str
    exit_code: int | None
    signal: int | None
    message: str
    started_at: float | None
    ended_at: float
    usage: UsageRecord


def write(directory: str, name: str, record: Any, *, durable: bool = True) -> None:
    """Write a record whole or not at all; `durable` also survives a power cut."""
    path = os.path.join(directory, name)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        _fill(temporary, json.dumps(record).encode(), os.O_CREAT | os.O_TRUNC, durable=durable)
        os.rename(temporary, path)
    except OSError:
        _unlink(temporary)
        raise
    if durable:
        sync_directory(directory)


def reserve(directory: str) -> None:
    """Take the blocks that the records of `RESERVED` will need, while there are some."""
    for name in RESERVED:
        path = os.path.join(directory, name + ".reserve")
        _fill(path, b" " * RESERVE_BYTES, os.O_CREAT | os.O_EXCL, durable=False)


def write_reserved(directory: str, name: str, record: Any) -> None:
    """Write a record of `RESERVED` into its blocks; works on a full disk."""
    data = json.dumps(record).encode()
    reserve_path = os.path.join(directory, name + ".reserve")
    path = os.path.join(directory, name)
    if len(data) > RESERVE_BYTES or not os.path.exists(reserve_path):
        write(directory, name, record)
        return
    _fill(reserve_path, data.ljust(RESERVE_BYTES), 0, durable=True)
    os.rename(reserve_path, path)
    sync_directory(directory)


def read(directory: str, name: str) -> Any:
    """Read a record; None where it does not exist or was cut by a power failure."""
    try:
        with open(os.path.join(directory, name), "rb") as file:
            return json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def sync_directory(directory: str) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def identify(pid: int, *, started_at: float) -> Identity:
    """Describe a living process beyond doubt."""
    return Identity(pid=pid, start_ticks=_stat(pid)[1], boot_id=boot_id(), started_at=started_at)


def is_alive(identity: Identity, *, boot: str) -> bool:
    """Say whether the very process still runs; its pid in other hands, or a zombie, does not count."""
    if identity["boot_id"] != boot:
        return False
    try:
        state, start_ticks = _stat(identity["pid"])
    except (FileNotFoundError, ProcessLookupError):
        return False
    return start_ticks == identity["start_ticks"] and state not in "ZX"


def _stat(pid: int) -> tuple[str, int]:
    """Return state and start time; the name in brackets may hold anything, so cut after the last."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return fields[0].decode(), int(fields[19])


def _fill(path: str, data: bytes, flags: int, *, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
