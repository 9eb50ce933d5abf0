"""The meters: everything that can be used, each in one integer unit, and how people read it.

A meter is data, not code. `scale` is how many of its units make one of the unit that prices and
tables speak of: 3,600,000 CPU-milliseconds are one CPU-hour. Quantities stay integers in the small
unit everywhere; only `Meter.text` divides, for print.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

MILLISECONDS_PER_HOUR = 3_600_000
MEBIBYTE_SECONDS_PER_GIBIBYTE_HOUR = 1024 * 3600
TOKENS_PER_PRICE = 1_000_000


class Selector(StrEnum):
    """The attribute of a usage record that tells one price of a meter from another."""

    NONE = "none"
    ACCELERATOR_TYPE = "accelerator_type"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Meter:
    """One thing that can be used."""

    name: str
    unit: str  # Of the integer quantity.
    display_unit: str  # Of prices and tables.
    scale: int  # Quantity units in one display unit.
    selector: Selector
    description: str

    def text(self, quantity: int) -> str:
        """Spell a quantity for people: `1.25 CPU-h`."""
        shown = f"{quantity / self.scale:,.3f}".rstrip("0").rstrip(".")
        return f"{shown} {self.display_unit}"


CPU = Meter(
    name="cpu_milliseconds",
    unit="millisecond",
    display_unit="CPU-h",
    scale=MILLISECONDS_PER_HOUR,
    selector=Selector.NONE,
    description="Time that the engine's accounting says the workload's processors worked.",
)
MEMORY = Meter(
    name="memory_mebibyte_seconds",
    unit="mebibyte-second",
    display_unit="GiB-h",
    scale=MEBIBYTE_SECONDS_PER_GIBIBYTE_HOUR,
    selector=Selector.NONE,
    description="Memory in use, times how long.",
)
ACCELERATOR = Meter(
    name="accelerator_milliseconds",
    unit="millisecond",
    display_unit="accelerator-h",
    scale=MILLISECONDS_PER_HOUR,
    selector=Selector.ACCELERATOR_TYPE,
    description="Time that accelerators were held, summed over accelerators.",
)
STORAGE = Meter(
    name="storage_mebibyte_seconds",
    unit="mebibyte-second",
    display_unit="GiB-h",
    scale=MEBIBYTE_SECONDS_PER_GIBIBYTE_HOUR,
    selector=Selector.NONE,
    description="Bytes kept in the object store, times how long.",
)
TOKENS_INPUT = Meter(
    name="tokens_input",
    unit="token",
    display_unit="M tokens",
    scale=TOKENS_PER_PRICE,
    selector=Selector.MODEL,
    description="Prompt tokens that were computed; those from the cache are not among them.",
)
TOKENS_CACHED = Meter(
    name="tokens_cached",
    unit="token",
    display_unit="M tokens",
    scale=TOKENS_PER_PRICE,
    selector=Selector.MODEL,
    description="Prompt tokens that the serving program found in its cache.",
)
TOKENS_OUTPUT = Meter(
    name="tokens_output",
    unit="token",
    display_unit="M tokens",
    scale=TOKENS_PER_PRICE,
    selector=Selector.MODEL,
    description="Tokens generated, by the engine's own count.",
)
REQUESTS = Meter(
    name="requests",
    unit="request",
    display_unit="requests",
    scale=1,
    selector=Selector.MODEL,
    description="Requests that a model answered.",
)
ENERGY = Meter(
    name="energy",
    unit="microwatt-hour",
    display_unit="Wh",
    scale=1_000_000,
    selector=Selector.NONE,
    description="Energy at the site's meter: the node's, times the site's PUE.",
)

METERS: Mapping[str, Meter] = MappingProxyType(
    {
        meter.name: meter
        for meter in (
            CPU,
            MEMORY,
            ACCELERATOR,
            STORAGE,
            TOKENS_INPUT,
            TOKENS_CACHED,
            TOKENS_OUTPUT,
            REQUESTS,
            ENERGY,
        )
    }
)


def divide_half_up(numerator: int, denominator: int) -> int:
    """Divide integers that are not negative, and round half up: the one rounding of quantities."""
    return (2 * numerator + denominator) // (2 * denominator)
