"""The contract of a compute engine. This module is the manual: a new driver needs no other text.

A driver starts, watches and stops *launches*. A launch is one attempt of a job or one replica of a
deployment, named by a `handle` that the caller chose and stored before it called `submit`. A driver
keeps no state that the control plane needs: it can be thrown away and built again at any time, and
must find every launch again by its handle.

Rules for every method:

- Idempotent by handle. A second `submit` of a known handle changes nothing and starts nothing, also
  when the first call was cut by a crash at any point, and also after the launch has ended.
- Prompt. A method returns within seconds; what takes longer goes on in the engine, and `observe`
  reports `PREPARING` with a `detail` that says how far it is.
- Honest. `observe` never guesses: an engine that cannot be reached raises `EngineUnavailable`; a handle
  that the engine has no trace of is `ABSENT`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable


class Network(StrEnum):
    """What a launch may reach."""

    NONE = "none"  # Nothing, not even the machine's loopback.
    LOOPBACK = "loopback"  # The node's own loopback: serving programs of the operator's.
    OPEN = "open"  # The node's network; only where the label allows a flow to anywhere.


@dataclass(frozen=True, slots=True)
class Resources:
    """What one node must give to a launch. The engine enforces each as a limit where it can."""

    cpu_millis: int  # Thousandths of a core.
    memory_bytes: int
    disk_bytes: int  # Largest size of the workspace.
    accelerators: int = 0
    accelerator_type: str | None = None
    pids_max: int = 1024


@dataclass(frozen=True, slots=True)
class Mount:
    """A read-only input: a directory or file that the nodes can read, and its path in the workspace."""

    source: Path
    target: str  # Relative to the workspace, without `..`.


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything an engine needs to run one attempt or one replica."""

    handle: str  # Chosen and stored by the caller: the idempotency key.
    name: str  # For people: what the operator sees in the engine's own tools.
    nodes: tuple[str, ...]  # Node names, one launch process on each; chosen by our placement.
    argv: tuple[str, ...]  # Program and arguments; no shell is added.
    env: Mapping[str, str]
    resources: Resources  # Per node.
    workspace: Path  # Absolute; exists; read-write; the working directory; survives the attempt.
    inputs: tuple[Mount, ...] = ()
    read_only: tuple[Path, ...] = ()  # Of the node, seen at their own place: serving programs.
    image: str | None = None  # A named environment of the driver; its `bin` is first on PATH.
    network: Network = Network.NONE
    time_limit_seconds: int | None = None  # The engine stops it then, with cause TIME_LIMIT.
    grace_seconds: int = 10  # Between SIGTERM and SIGKILL, for whatever reason it is stopped.
    log_bytes_max: int = 10_000_000  # Older output is dropped beyond this, and the log says so.
    labels: Mapping[str, str] = field(
        default_factory=dict
    )  # organization, project, residency: for the engine.


class Phase(StrEnum):
    """How far the engine is with a launch."""

    ABSENT = "absent"  # No trace of the handle: never submitted, or lost with its node.
    PREPARING = "preparing"  # Accepted; the process does not run yet.
    RUNNING = "running"
    ENDED = "ended"


class ExitCause(StrEnum):
    """Why a launch ended, told apart because a retry policy depends on it."""

    COMPLETED = "completed"  # Exit code 0.
    FAILED = "failed"  # Another exit code, or a signal of its own.
    OUT_OF_MEMORY = "out_of_memory"
    TIME_LIMIT = "time_limit"
    DISK_LIMIT = "disk_limit"  # The workspace outgrew `disk_bytes`.
    STOPPED = "stopped"  # `stop` was called.
    INTERRUPTED = "interrupted"  # The node or its supervisor died; not the launch's own fault.
    LAUNCH_FAILED = "launch_failed"  # The program could not be started at all.


class EnergyMethod(StrEnum):
    """How an energy figure came about (PRODUCT rule: every figure says so)."""

    MEASURED = "measured"  # A counter of the very device, used by nobody else.
    APPORTIONED = "apportioned"  # A meter's reading shared out by a stated key.
    ESTIMATED = "estimated"  # A power model times use.


@dataclass(frozen=True, slots=True)
class Usage:
    """Cumulative use since the launch began, from the engine's own accounting. Never decreases."""

    cpu_nanoseconds: int = 0
    memory_byte_seconds: int = 0
    memory_peak_bytes: int = 0
    accelerator_milliseconds: int = 0
    energy_microjoules: int | None = None  # None: the engine has no meter; metering estimates.
    energy_method: EnergyMethod | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a launch ended."""

    cause: ExitCause
    exit_code: int | None = (
        None  # 128 + n for signal n; None where it never ran or died with its node.
    )
    signal: int | None = None
    message: str = ""  # One sentence for `galerne why`.


@dataclass(frozen=True, slots=True)
class Observation:
    """What the engine says of one handle at one moment."""

    phase: Phase
    detail: str = ""  # Progress while PREPARING, as "installing 12 of 31 packages".
    started_at: datetime | None = None
    ended_at: datetime | None = None
    usage: Usage = field(default_factory=Usage)
    exit: Exit | None = None  # Set exactly when the phase is ENDED.


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of a launch's merged output. Offsets count every byte ever written, also dropped ones.

    Where bytes were dropped, `data` begins with one line of the driver's that says so and that no
    offset counts; so go on from `next_offset`, never from a sum. Characters may be cut at either end.
    """

    data: bytes
    next_offset: (
        int  # Ask from here next; greater than offset + len(data) never, unless bytes were dropped.
    )
    dropped_bytes: int = 0  # Bytes between the asked offset and `data` that the bound has dropped.
    complete: bool = False  # No more will come: the launch has ended and this is the end.


@dataclass(frozen=True, slots=True)
class AcceleratorReport:
    """Accelerators of one type on a node, as discovered."""

    type: str
    count: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A node as the engine sees it."""

    name: str
    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    accelerators: tuple[AcceleratorReport, ...] = ()
    isolation: tuple[
        str, ...
    ] = ()  # As "cgroup v1: cpu, memory, pids", "bubblewrap 0.8.0": what holds here.
    energy_meters: tuple[
        str, ...
    ] = ()  # As "rapl:package-0", "nvml:0"; empty: energy is estimated.
    cpu_model: str = ""
    architecture: str = ""


class Driver(ABC):
    """A compute engine."""

    name: ClassVar[str]

    @abstractmethod
    async def nodes(self) -> Sequence[NodeReport]:
        """Discover the nodes. Raises `EngineUnavailable`."""

    @abstractmethod
    async def submit(self, launch: Launch) -> None:
        """Start `launch`, once. Returns when the engine has durably accepted it.

        Raises `LaunchRefused` where it can never run, `EngineUnavailable` where nothing is known.
        """

    @abstractmethod
    async def observe(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """Report every handle asked for, in one call whatever their number (one poll, not a thousand)."""

    @abstractmethod
    async def stop(self, handle: str, *, grace_seconds: int) -> None:
        """Ask for a graceful end: SIGTERM, the grace, SIGKILL. Returns at once; unknown handles are fine."""

    @abstractmethod
    async def forget(self, handle: str) -> None:
        """Drop the engine's records and logs of an ended launch. Unknown handles are fine.

        Raises `NotYet` where it has not ended.
        """

    @abstractmethod
    async def read_log(self, handle: str, *, offset: int, bytes_max: int) -> LogChunk:
        """Read merged stdout and stderr from `offset`; while it runs, and until `forget`.

        The log of an unknown handle is empty and complete.
        """

    async def close(self) -> None:  # noqa: B027 - most engines hold nothing
        """Let go of what this object holds. Launches go on."""


@runtime_checkable
class SupportsMultinode(Protocol):
    """The engine can start one launch on several nodes together (gang)."""

    multinode: ClassVar[bool]
