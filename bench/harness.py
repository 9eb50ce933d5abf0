"""What every benchmark shares: how CPU and memory are read, how claims are printed and written.

A claim is a figure of ours beside a peer's, taken in the same run on the same machine, and their ratio.
Where there are rounds, candidates alternate inside each; what is shown are medians.
"""

import json
import os
import platform
import socket
import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[1]
PACKAGES = ("sqlalchemy", "aiosqlite", "asyncpg", "fastapi", "pydantic", "uvloop", "structlog")


@dataclass(frozen=True)
class Claim:
    """One line of a table: ours, a peer's, and how they compare."""

    what: str
    unit: str
    ours: float
    peer_name: str = ""
    peer: float | None = None
    ratio: float | None = None  # Ours by the peer's, unless the benchmark took it per round.

    @classmethod
    def of(cls, what: str, unit: str, ours: float, peer_name: str, peer: float) -> Self:
        return cls(what, unit, ours, peer_name, peer, ours / peer if peer else None)


@dataclass
class Report:
    """What a benchmark found, how, and where."""

    benchmark: str
    method: str
    claims: list[Claim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.machine = self.machine or machine()

    def print(self) -> None:
        print_claims(self.benchmark, self.claims)
        for note in self.notes:
            print(f"  {note}")
        print(f"  {machine_line(self.machine)}")

    def write(self, path: Path | None) -> None:
        if path is not None:
            path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def print_claims(title: str, claims: Iterable[Claim]) -> None:
    """Print one table: what, ours, peer, ratio."""
    print(f"\n{title}")
    print(f"  {'':46}{'galerne':>12}{'peer':>12}{'ratio':>9}  unit, peer")
    for claim in claims:
        peer = "" if claim.peer is None else number(claim.peer)
        ratio = "" if claim.ratio is None else f"{claim.ratio:,.2f}"
        told = ", ".join(part for part in (claim.unit, claim.peer_name) if part)
        print(f"  {claim.what:46}{number(claim.ours):>12}{peer:>12}{ratio:>9}  {told}")


def number(value: float) -> str:
    """Spell a figure with about three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4f}"


def machine() -> dict[str, Any]:
    """Say where and with what this runs, and how busy the machine is."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in PACKAGES},
    }


def machine_line(found: dict[str, Any]) -> str:
    return (
        f"Python {found['python']}, Linux {found['kernel']}, {found['cores']} cores,"
        f" load average {found['load_average']} at {found['date']}"
    )


def progress(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def median(values: Iterable[float]) -> float:
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def cpu_nanoseconds(pid: int | None = None) -> int:
    """Sum the time on a processor of all threads that a process has now."""
    total = 0
    for task in Path(f"/proc/{pid or 'self'}/task").iterdir():
        total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total


def resident_bytes(pid: int | None = None) -> int:
    pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def forget_peak() -> None:
    """Let `peak_resident_bytes` count from here."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_resident_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@dataclass(frozen=True)
class Sample:
    """One measurement: by the wall's clock, and this process's own time on a processor."""

    seconds: float
    cpu_seconds: float


async def clocked(work: Callable[[], Awaitable[object]]) -> Sample:
    """Time `work`."""
    began, cpu_began = time.perf_counter(), time.process_time()
    await work()
    return Sample(time.perf_counter() - began, time.process_time() - cpu_began)
