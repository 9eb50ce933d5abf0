"""What one simulated launch does, as a function of time alone.

Nothing runs: a launch is its times and its end, fixed when it is submitted and moved by `stop` or a fault. So
ten thousand of them cost what a dictionary costs. How a launch behaves is said in its environment:

    GALERNE_FAKE_START_SECONDS   how long it is PREPARING
    GALERNE_FAKE_RUN_SECONDS     how long it runs; `forever` until it is stopped
    GALERNE_FAKE_STOP_SECONDS    how long it takes to end after SIGTERM; beyond the grace it is killed
    GALERNE_FAKE_EXIT_CODE       how it ends of its own accord
    GALERNE_FAKE_CAUSE           why it ends, a value of `ExitCause`: `out_of_memory`, `launch_failed`, …
    GALERNE_FAKE_LOG             what it writes

Usage is simulated, and no measurement: every resource asked for, fully used, for as long as it ran. Energy is
left to metering's estimate.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from galerne.drivers.base import (
    Exit,
    ExitCause,
    Launch,
    Observation,
    Phase,
    Resources,
    Usage,
)
from galerne.drivers.errors import LaunchRefused

SIGTERM_EXIT = (143, 15)
SIGKILL_EXIT = (137, 9)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take where a launch does not say; `run_seconds` None means until it is stopped."""

    start_seconds: float = 0.0
    run_seconds: float | None = 60.0
    stop_seconds: float = 0.0


@dataclass(slots=True)
class Run:
    """One simulated launch. Times are seconds since 1970, so that they outlive a process."""

    name: str
    nodes: tuple[str, ...]
    resources: Resources
    log_bytes_max: int
    output: str
    starts_at: float
    ends_at: float
    stop_seconds: float
    exit: Exit
    never_started: bool = False

    @classmethod
    def plan(cls, launch: Launch, timing: Timing, *, now: float) -> Self:
        """Fix what will happen. Raises `LaunchRefused` for a directive that cannot be read."""
        env = launch.env
        run_seconds = _seconds(env, "RUN", timing.run_seconds)
        starts_at = now + _seconds(env, "START", timing.start_seconds)
        limit_seconds = launch.time_limit_seconds
        ending = _ending(env)
        if limit_seconds is not None and run_seconds > limit_seconds:
            run_seconds = limit_seconds
            code, number = SIGTERM_EXIT
            ending = Exit(ExitCause.TIME_LIMIT, code, number, f"time limit of {limit_seconds} s")
        failed = ending.cause is ExitCause.LAUNCH_FAILED
        return cls(
            name=launch.name,
            nodes=launch.nodes,
            resources=launch.resources,
            log_bytes_max=launch.log_bytes_max,
            output=env.get("GALERNE_FAKE_LOG", ""),
            starts_at=starts_at,
            ends_at=starts_at if failed else starts_at + run_seconds,
            stop_seconds=_seconds(env, "STOP", timing.stop_seconds),
            exit=ending,
            never_started=failed,
        )

    @classmethod
    def restore(cls, record: dict[str, Any]) -> Self:
        """Build a run from what `record` gave."""
        values = dict(record)
        values["nodes"] = tuple(values["nodes"])
        values["resources"] = Resources(**values["resources"])
        values["exit"] = Exit(**{**values["exit"], "cause": ExitCause(values["exit"]["cause"])})
        values["ends_at"] = math.inf if values["ends_at"] is None else values["ends_at"]
        return cls(**values)

    def record(self) -> dict[str, Any]:
        """Return the run as JSON can hold it."""
        return {**asdict(self), "ends_at": None if math.isinf(self.ends_at) else self.ends_at}

    def has_ended(self, now: float) -> bool:
        return now >= self.ends_at

    def end(self, ending: Exit, *, at: float) -> None:
        """Bring the end forward; an end that comes sooner anyway stays."""
        if at >= self.ends_at:
            return
        self.never_started = at < self.starts_at
        self.ends_at = at
        self.exit = Exit(ending.cause, message=ending.message) if self.never_started else ending

    def stop(self, *, now: float, grace_seconds: float) -> None:
        """Send the simulated SIGTERM, and SIGKILL when the grace is over."""
        killed = self.stop_seconds > grace_seconds
        code, number = SIGKILL_EXIT if killed else SIGTERM_EXIT
        delay_seconds = min(self.stop_seconds, grace_seconds) if now >= self.starts_at else 0.0
        ending = Exit(ExitCause.STOPPED, code, number, "it was stopped on request")
        self.end(ending, at=now + delay_seconds)

    def observe(self, now: float) -> Observation:
        """Say how far it is at `now`."""
        if now >= self.ends_at:
            return self._observe_ended()
        if now < self.starts_at:
            wait_seconds = math.ceil(self.starts_at - now)
            return Observation(Phase.PREPARING, f"simulated start in {wait_seconds} s")
        return Observation(
            Phase.RUNNING,
            started_at=datetime.fromtimestamp(self.starts_at, UTC),
            usage=self._usage(now - self.starts_at),
        )

    def log(self, now: float) -> bytes:
        """Return all it has written by `now`."""
        if now < self.starts_at or self.never_started:
            return b""
        lines = [f"[fake] {self.name} started on {', '.join(self.nodes)}"]
        if self.output:
            lines.append(self.output)
        if now >= self.ends_at:
            lines.append(f"[fake] {self.name} ended: {self.exit.cause}")
        return "".join(f"{line}\n" for line in lines).encode()

    def _observe_ended(self) -> Observation:
        started_at = None if self.never_started else datetime.fromtimestamp(self.starts_at, UTC)
        ran_seconds = 0.0 if self.never_started else self.ends_at - self.starts_at
        return Observation(
            Phase.ENDED,
            started_at=started_at,
            ended_at=datetime.fromtimestamp(self.ends_at, UTC),
            usage=self._usage(ran_seconds),
            exit=self.exit,
        )

    def _usage(self, seconds: float) -> Usage:
        wanted = self.resources
        node_seconds = seconds * len(self.nodes)
        return Usage(
            cpu_nanoseconds=int(node_seconds * wanted.cpu_millis * 1_000_000),
            memory_byte_seconds=int(node_seconds * wanted.memory_bytes),
            memory_peak_bytes=wanted.memory_bytes if seconds else 0,
            accelerator_milliseconds=int(node_seconds * wanted.accelerators * 1000),
        )


def _seconds(env: Mapping[str, str], name: str, default: float | None) -> float:
    """Read a duration that a launch directs; infinity is `forever`."""
    text = env.get(f"GALERNE_FAKE_{name}_SECONDS")
    if text is None:
        return math.inf if default is None else default
    if name == "RUN" and text == "forever":
        return math.inf
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise _refused(f"GALERNE_FAKE_{name}_SECONDS={text!r}", "a number of seconds, 0 or more")
    return seconds


def _ending(env: Mapping[str, str]) -> Exit:
    code_text = env.get("GALERNE_FAKE_EXIT_CODE", "0")
    if not code_text.isdigit() or int(code_text) > 255:
        raise _refused(f"GALERNE_FAKE_EXIT_CODE={code_text!r}", "an exit code from 0 to 255")
    code = int(code_text)
    default = ExitCause.COMPLETED if code == 0 else ExitCause.FAILED
    cause_text = env.get("GALERNE_FAKE_CAUSE", default)
    if cause_text not in set(ExitCause):
        causes = ", ".join(ExitCause)
        raise _refused(f"GALERNE_FAKE_CAUSE={cause_text!r}", f"one of {causes}")
    cause = ExitCause(cause_text)
    message = "" if cause is ExitCause.COMPLETED else f"simulated: {cause}"
    match cause:
        case ExitCause.COMPLETED | ExitCause.FAILED:
            return Exit(cause, code, None, message)
        case ExitCause.OUT_OF_MEMORY:
            return Exit(cause, *SIGKILL_EXIT, message)
        case ExitCause.LAUNCH_FAILED | ExitCause.INTERRUPTED:
            return Exit(cause, None, None, message)
        case _:
            return Exit(cause, *SIGTERM_EXIT, message)


def _refused(what: str, expected: str) -> LaunchRefused:
    return LaunchRefused(
        f"{what} cannot be read", code="fake_directive_invalid", hint=f"give {expected}"
    )
