# Shims import this module, and pathlib would cost each of them several milliseconds.
# ruff: noqa: PTH118, PTH123, PTH208
"""Energy of one launch, from the meters that the machine has: RAPL, and NVML for allotted accelerators.

A package meter counts for everybody on the machine. A launch gets the share of each interval's energy that
its CPU time has in the CPU time of all processes (busy time of /proc/stat), so that the shares of all
launches and of the system add up to the meter: that is `apportioned`. An accelerator's own counter, with
the accelerator allotted to nobody else, is `measured`; a sum of both is called by the weaker word. Without
a meter the figure is None and metering estimates. Both roots can be given, so that tests use a tree of
their own. Shims import this module: keep it small.
"""

import os
from collections.abc import Callable, Sequence
from typing import TypedDict

POWERCAP = "/sys/class/powercap"
STAT = "/proc/stat"
IDLE_FIELDS = (3, 4)  # idle and iowait, behind user, nice and system.


class EnergyRecord(TypedDict):
    """Energy so far, and how the figure came about."""

    energy_microjoules: int | None
    energy_method: str | None


class RaplZone:
    """One package meter: a counter of microjoules that begins again at its range."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "energy_uj")
        self.name = f"rapl:{_text(os.path.join(directory, 'name'))}"
        self._range = int(_text(os.path.join(directory, "max_energy_range_uj")) or 0)
        self._last = self._read()

    def advance(self) -> int:
        """Return the microjoules since the last call; a wrap of the counter is made good."""
        now = self._read()
        if now is None or self._last is None:
            self._last = now
            return 0
        delta = now - self._last
        self._last = now
        return delta if delta >= 0 else delta + self._range

    def readable(self) -> bool:
        return self._last is not None

    def _read(self) -> int | None:
        text = _text(self._path)
        return int(text) if text.isdigit() else None


class EnergyMeter:
    """Adds up the energy of one launch, each time it is told the launch's CPU time."""

    def __init__(
        self,
        *,
        counters: Sequence[Callable[[], int]] = (),
        powercap: str = POWERCAP,
        stat: str = STAT,
    ) -> None:
        self._zones = rapl_zones(powercap)
        self._stat = stat
        self._busy = busy_nanoseconds(stat)
        self._cpu = 0
        self._apportioned = 0
        self._counters = [(counter, counter()) for counter in counters]
        self._measured = 0

    def advance(self, cpu_nanoseconds: int) -> EnergyRecord:
        """Take the interval since the last call into account; return the total."""
        if self._zones:
            self._apportion(cpu_nanoseconds)
        measured = sum(counter() - begin for counter, begin in self._counters)
        self._measured = max(self._measured, measured)  # A counter that fails for once says 0.
        total = self._apportioned + self._measured
        if self._zones:
            return EnergyRecord(energy_microjoules=total, energy_method="apportioned")
        if self._counters:
            return EnergyRecord(energy_microjoules=total, energy_method="measured")
        return EnergyRecord(energy_microjoules=None, energy_method=None)

    def _apportion(self, cpu_nanoseconds: int) -> None:
        busy = busy_nanoseconds(self._stat)
        own, everybody = cpu_nanoseconds - self._cpu, busy - self._busy
        self._cpu, self._busy = cpu_nanoseconds, busy
        energy = sum(zone.advance() for zone in self._zones)
        if everybody > 0:
            self._apportioned += energy * max(0, min(own, everybody)) // everybody


def rapl_zones(powercap: str = POWERCAP) -> list[RaplZone]:
    """Return the readable package meters; a core or DRAM zone is part of its package or not ours to add."""
    try:
        names = sorted(os.listdir(powercap))
    except OSError:
        return []
    zones = [
        RaplZone(os.path.join(powercap, name))
        for name in names
        if name.startswith("intel-rapl:") and name.count(":") == 1
    ]
    return [zone for zone in zones if zone.readable()]


def busy_nanoseconds(stat: str = STAT) -> int:
    """Return the CPU time that all processes of the machine have used since it started."""
    line = _text(stat).splitlines()[0]
    ticks = [int(field) for field in line.split()[1:9]]
    busy = sum(value for i, value in enumerate(ticks) if i not in IDLE_FIELDS)
    return busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""
