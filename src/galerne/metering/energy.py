"""The energy of compute work and its carbon: a reading where there is one, else a stated model.

The figure is energy at the site's meter. What the node used is multiplied by the site's PUE here, once,
and nowhere else; the note of each figure says so, and from what. Integers throughout: microjoules as
engines count, microwatt-hours as records keep, micrograms of CO2 equivalent.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from galerne.catalog.accelerators.service import canonical_name
from galerne.catalog.intensity import carbon_factor
from galerne.catalog.power import DEFAULT, PowerModel
from galerne.drivers.base import EnergyMethod
from galerne.metering.meters import divide_half_up

MICROJOULES_PER_MICROWATT_HOUR = 3600
PUE_MILLI_ONE = 1000


class EnergySite(Protocol):
    """What energy and carbon depend on at a site."""

    @property
    def name(self) -> str: ...
    @property
    def pue_milli(self) -> int: ...
    @property
    def grid_zone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ComputeUse:
    """What some work took of its nodes."""

    cpu_nanoseconds: int
    memory_byte_seconds: int
    accelerator_milliseconds: int = 0
    accelerator_type: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What the nodes' own meters say the work took."""

    microjoules: int
    method: EnergyMethod


@dataclass(frozen=True, slots=True)
class Energy:
    """An amount of energy, how it came about, and what it emitted."""

    microwatt_hours: int
    method: EnergyMethod
    note: str
    carbon_micrograms: int | None  # None: no factor is known for where it was used.
    carbon_source: str | None


def attribute(
    use: ComputeUse,
    reading: Reading | None,
    *,
    site: EnergySite | None,
    at: datetime,
    model: PowerModel = DEFAULT,
) -> Energy:
    """Return the energy of `use` at the site's meter: from the reading, or estimated by `model`."""
    if reading is not None:
        microjoules, method, basis = reading.microjoules, reading.method, "the node's own meters"
    else:
        microjoules, method = estimate_microjoules(use, model), EnergyMethod.ESTIMATED
        basis = _basis(use, model)
    pue_milli = site.pue_milli if site is not None else PUE_MILLI_ONE
    microwatt_hours = divide_half_up(
        microjoules * pue_milli, MICROJOULES_PER_MICROWATT_HOUR * PUE_MILLI_ONE
    )
    factor = carbon_factor(site.grid_zone, at) if site is not None else None
    return Energy(
        microwatt_hours=microwatt_hours,
        method=method,
        note=f"{basis}; {_pue_note(site)}",
        carbon_micrograms=factor.micrograms(microwatt_hours) if factor else None,
        carbon_source=(
            f"{factor.source}, {factor.zone} {factor.vintage}, {factor.milligrams_per_kwh} mg/kWh"
            if factor
            else None
        ),
    )


def estimate_microjoules(use: ComputeUse, model: PowerModel) -> int:
    """Return what the nodes would draw by `model`: busy cores, memory, accelerators at rated power."""
    accelerators = model.accelerator_rated_watts(use.accelerator_type)
    return (
        model.busy_microjoules(use.cpu_nanoseconds)
        + model.memory_microjoules(use.memory_byte_seconds)
        # Watts times milliseconds are millijoules.
        + use.accelerator_milliseconds * accelerators * 1000
    )


def _basis(use: ComputeUse, model: PowerModel) -> str:
    core = f"{model.busy_core_milliwatts / 1000:g} W a busy core"
    memory = f"{model.memory_milliwatts_per_gigabyte / 1000:g} W a GB of memory"
    text = f"power model {model.name}: {core}, {memory}"
    if use.accelerator_milliseconds:
        watts = model.accelerator_rated_watts(use.accelerator_type)
        name = canonical_name(use.accelerator_type or "") or "accelerator"
        text += f", {watts} W a held {name} (rated power: at most this)"
    return text


def _pue_note(site: EnergySite | None) -> str:
    if site is None:
        return "without a PUE, as no site is known"
    return f"times the PUE of {site.name}, {site.pue_milli / PUE_MILLI_ONE:g}"
