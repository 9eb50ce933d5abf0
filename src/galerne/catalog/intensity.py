"""Grid carbon: what a kilowatt-hour emits in a grid zone at a time, with source and vintage.

Pure: the data ships with the package (`intensity.yaml`) and nothing is asked of anybody. Yearly
national averages; hourly feeds are another source of the same type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True, slots=True)
class CarbonFactor:
    """An emission factor and where it is from."""

    zone: str  # Grid zone, as an ISO 3166-1 alpha-3 country: FRA, DEU.
    milligrams_per_kwh: int  # CO2 equivalent, life cycle.
    source: str
    vintage: str  # What the source's figure is of.
    valid_from: datetime
    valid_to: datetime | None  # None: until a newer one is known.

    def micrograms(self, energy_microwatt_hours: int) -> int:
        """Return the emissions of an amount of energy, rounded half up."""
        # mg/kWh = 10⁻⁶ µg/µWh.
        return (energy_microwatt_hours * self.milligrams_per_kwh + 500_000) // 1_000_000


def carbon_factor(zone: str, at: datetime) -> CarbonFactor | None:
    """Return the factor in force in `zone` at `at`; None where the zone is not known.

    Before the first factor of a zone the first is used: a stated figure is better than none.
    """
    factors = carbon_factors().get(zone, ())
    in_force = [factor for factor in factors if factor.valid_from <= at]
    return in_force[-1] if in_force else next(iter(factors), None)


@cache
def carbon_factors() -> Mapping[str, Sequence[CarbonFactor]]:
    """Return all factors by zone, oldest first."""
    text = files("galerne.catalog").joinpath("intensity.yaml").read_text("utf-8")
    data = yaml.safe_load(text)
    found: dict[str, Sequence[CarbonFactor]] = {}
    for zone, entries in data["zones"].items():
        entries.sort(key=lambda entry: entry["valid_from"])
        starts = [_midnight(entry["valid_from"]) for entry in entries]
        found[zone] = [
            CarbonFactor(
                zone=zone,
                milligrams_per_kwh=int(Decimal(entry["grams_per_kwh"]) * 1000),
                source=data["sources"][entry["source"]],
                vintage=entry["vintage"],
                valid_from=start,
                valid_to=end,
            )
            for entry, start, end in zip(entries, starts, [*starts[1:], None], strict=True)
        ]
    return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
