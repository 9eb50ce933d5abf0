"""NVIDIA accelerators through NVML: which there are, and their energy counters.

No driver library, no device or no counter is an ordinary machine: the answers are empty and nothing is
logged. The shim loads this module only for launches with accelerators. Which launch gets which accelerator is
the shim's business.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import pynvml


class Device(NamedTuple):
    """One accelerator."""

    number: int
    minor: int  # Of the device file, which may differ from NVML's number.
    uuid: str
    type: str
    memory_bytes: int
    energy: bool


def devices(library: Any = pynvml) -> list[Device]:
    """Return the machine's accelerators, none where NVML is not usable."""
    if not _start(library):
        return []
    found = []
    for index in range(library.nvmlDeviceGetCount()):
        handle = library.nvmlDeviceGetHandleByIndex(index)
        found.append(
            Device(
                number=index,
                minor=library.nvmlDeviceGetMinorNumber(handle),
                uuid=_text(library.nvmlDeviceGetUUID(handle)),
                type=_type(_text(library.nvmlDeviceGetName(handle))),
                memory_bytes=library.nvmlDeviceGetMemoryInfo(handle).total,
                energy=_energy_microjoules(library, handle) is not None,
            )
        )
    return found


def energy_counters(indexes: Sequence[int], library: Any = pynvml) -> list[Callable[[], int]]:
    """Return a counter of microjoules for each of the accelerators that has one."""
    if not indexes or not _start(library):
        return []
    handles = [library.nvmlDeviceGetHandleByIndex(index) for index in indexes]
    return [
        partial(_counter, library, handle)
        for handle in handles
        if _energy_microjoules(library, handle) is not None
    ]


def _start(library: Any) -> bool:
    try:
        library.nvmlInit()
    except library.NVMLError:
        return False
    return True


def _counter(library: Any, handle: Any) -> int:
    return _energy_microjoules(library, handle) or 0


def _energy_microjoules(library: Any, handle: Any) -> int | None:
    """Return the counter since the kernel module was loaded; it comes in millijoules."""
    try:
        return int(library.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1000
    except library.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    """Return text; older versions of the library gave bytes."""
    return value.decode() if isinstance(value, bytes) else value


def _type(name: str) -> str:
    """Spell `NVIDIA H100 80GB HBM3` as the catalogue does: `H100`."""
    words = name.removeprefix("NVIDIA ").split()
    return words[0] if words else "unknown"
