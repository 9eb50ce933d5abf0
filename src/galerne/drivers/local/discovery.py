"""What this machine is: processors, memory, disk, accelerators, isolation and meters, as found.

Nothing is configured here and nothing is guessed: what is not found is not reported. Where the machine
stands, who runs it and what it costs is the catalogue's business.
"""

import os
import platform
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from galerne.drivers.base import AcceleratorReport, NodeReport
from galerne.drivers.local import cgroups, energy, nvml, sandbox
from galerne.drivers.local.records import Cgroup
from galerne.drivers.local.sandbox import Tools

MILLIS_PER_CPU = 1000
_NO_CGROUP = "no cgroup: memory per process by rlimit, no CPU limit"


@dataclass(frozen=True, slots=True)
class Platform:
    """What the machine lets the driver use; found once, because it is found by trying."""

    tools: Tools
    cgroups: Cgroup | None

    @classmethod
    def detect(cls) -> Self:
        return cls(tools=sandbox.probe(), cgroups=cgroups.detect())

    def isolation(self) -> tuple[str, ...]:
        """Say which limits and which sandbox hold."""
        if self.cgroups is None:
            return (_NO_CGROUP, *self.tools.isolation())
        version = self.cgroups["version"]
        names = self.cgroups["directories"] if version == 1 else cgroups.V2_CONTROLLERS
        return (f"cgroup v{version}: {', '.join(names)}", *self.tools.isolation())


def discover(name: str, directory: Path, found: Platform) -> NodeReport:
    """Report this machine; `directory` is on the disk that workspaces use."""
    devices = nvml.devices()
    meters = [zone.name for zone in energy.rapl_zones()]
    meters += [f"nvml:{device.number}" for device in devices if device.energy]
    return NodeReport(
        name=name,
        cpu_millis=len(os.sched_getaffinity(0)) * MILLIS_PER_CPU,
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        disk_bytes=shutil.disk_usage(directory).free,
        accelerators=group_accelerators(devices),
        isolation=found.isolation(),
        energy_meters=tuple(meters),
        cpu_model=cpu_model(),
        architecture=platform.machine(),
    )


def group_accelerators(devices: list[nvml.Device]) -> tuple[AcceleratorReport, ...]:
    """Count devices of one type and size together."""
    counts = Counter((device.type, device.memory_bytes) for device in devices)
    return tuple(
        AcceleratorReport(type=kind, count=count, memory_bytes=memory_bytes)
        for (kind, memory_bytes), count in counts.items()
    )


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name; empty where the kernel does not tell, as on many Arm machines."""
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"model name", "Model"}:
            return value.strip()
    return ""
