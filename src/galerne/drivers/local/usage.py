# Shims import this module, and pathlib would cost each of them several milliseconds.
# ruff: noqa: PTH123, PTH208
"""What one launch uses, sampled by its shim: CPU time, memory over time, accelerators, energy.

The kernel's own accounting of the control group counts. Without one, the figures are sums over the launch's
process tree, which miss what a short-lived child used between two samples, until its parent has waited for
it. Prices and rates are metering's. Shims import this module: keep it small.
"""

import os

from galerne.drivers.local.cgroups import Group
from galerne.drivers.local.energy import EnergyMeter
from galerne.drivers.local.records import UsageRecord

NANOSECONDS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class UsageMeter:
    """Integrates the use of one running launch."""

    def __init__(
        self, group: Group, energy: EnergyMeter, *, pid: int, accelerators: int, now: float
    ) -> None:
        self._group = group
        self._energy = energy
        self._pid = pid
        self._accelerators = accelerators
        self._began = self._last = now
        self._memory_bytes: int | None = None
        self._memory_byte_seconds = 0.0
        self._peak_bytes = 0
        self._cpu_nanoseconds = 0

    def sample(self, now: float) -> UsageRecord:
        """Take the time since the last sample into account; return the totals."""
        tree_cpu, tree_memory = (0, 0)
        cpu, memory = self._group.cpu_nanoseconds(), self._group.memory_bytes()
        if cpu is None or memory is None:
            tree_cpu, tree_memory = tree_use(self._pid)
        memory = tree_memory if memory is None else memory
        before = memory if self._memory_bytes is None else self._memory_bytes
        self._memory_byte_seconds += (before + memory) / 2 * (now - self._last)
        self._memory_bytes = memory
        self._peak_bytes = max(self._peak_bytes, memory, self._group.memory_peak_bytes() or 0)
        return self._totals(tree_cpu if cpu is None else cpu, now)

    def finish(self, now: float, *, cpu_nanoseconds: int, peak_bytes: int) -> UsageRecord:
        """Close the account, when the memory is gone already: it counts as at the last sample.

        What the kernel said when the program was waited for counts where there is no group.
        """
        grouped_bytes = self._group.memory_peak_bytes()
        last_bytes = peak_bytes if grouped_bytes is None else grouped_bytes
        self._peak_bytes = max(self._peak_bytes, last_bytes)
        memory = self._peak_bytes if self._memory_bytes is None else self._memory_bytes
        self._memory_byte_seconds += memory * (now - self._last)
        cpu = self._group.cpu_nanoseconds()
        return self._totals(cpu_nanoseconds if cpu is None else cpu, now)

    def _totals(self, cpu_nanoseconds: int, now: float) -> UsageRecord:
        self._last = now
        self._cpu_nanoseconds = max(self._cpu_nanoseconds, cpu_nanoseconds)
        energy = self._energy.advance(self._cpu_nanoseconds)
        return UsageRecord(
            cpu_nanoseconds=self._cpu_nanoseconds,
            memory_byte_seconds=int(self._memory_byte_seconds),
            memory_peak_bytes=self._peak_bytes,
            accelerator_milliseconds=int((now - self._began) * 1000) * self._accelerators,
            energy_microjoules=energy["energy_microjoules"],
            energy_method=energy["energy_method"],
        )


def empty_usage() -> UsageRecord:
    """Return the use of a launch that never ran."""
    return UsageRecord(
        cpu_nanoseconds=0,
        memory_byte_seconds=0,
        memory_peak_bytes=0,
        accelerator_milliseconds=0,
        energy_microjoules=None,
        energy_method=None,
    )


def tree_use(pid: int) -> tuple[int, int]:
    """Return CPU time and resident memory of a process and all below it."""
    ticks = pages = 0
    for member in [pid, *descendants(pid)]:
        fields = _stat(member)
        if fields:
            ticks += sum(
                int(field) for field in fields[11:15]
            )  # Own and waited-for, user and system.
            pages += int(fields[21])
    return ticks * NANOSECONDS_PER_TICK, pages * PAGE_BYTES


def descendants(pid: int) -> list[int]:
    """Return the processes below one, as far as their parents live."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else []
        if fields:
            children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    pending = [pid]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def _stat(pid: int) -> list[bytes]:
    """Return the fields of a process's stat behind its name; empty if it has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
