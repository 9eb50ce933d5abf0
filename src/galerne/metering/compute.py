"""From what an engine counts to the quantities of the meters: the same for use and for a quote."""

from collections.abc import Mapping

from galerne.metering.energy import ComputeUse
from galerne.metering.meters import ACCELERATOR, CPU, MEMORY, divide_half_up

NANOSECONDS_PER_MILLISECOND = 1_000_000
BYTES_PER_MEBIBYTE = 2**20


def quantities(use: ComputeUse) -> Mapping[str, int]:
    """Return the quantity of each compute meter, rounded half up to the meter's unit.

    A window of work is rounded once: by at most half a millisecond and half a mebibyte-second.
    """
    return {
        CPU.name: divide_half_up(use.cpu_nanoseconds, NANOSECONDS_PER_MILLISECOND),
        MEMORY.name: divide_half_up(use.memory_byte_seconds, BYTES_PER_MEBIBYTE),
        ACCELERATOR.name: use.accelerator_milliseconds,
    }
