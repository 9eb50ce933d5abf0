"""Energy is a reading or a stated model, times the PUE once; carbon has its source."""

from hypothesis import given
from hypothesis import strategies as st
from tests.metering.records import NOON
from tests.metering.sites import site

from galerne.catalog.intensity import carbon_factor
from galerne.catalog.power import DEFAULT
from galerne.drivers.base import EnergyMethod
from galerne.metering.energy import ComputeUse, Reading, attribute, estimate_microjoules

HOUR_OF_ONE_CORE = ComputeUse(cpu_nanoseconds=3600 * 10**9, memory_byte_seconds=0)


class TestMeasured:
    def test_reading_times_pue(self) -> None:
        """A reading of 3,600 J is 1 Wh, and 1.25 Wh at the meter of a site with a PUE of 1.25."""
        reading = Reading(3600 * 10**6, EnergyMethod.MEASURED)
        energy = attribute(HOUR_OF_ONE_CORE, reading, site=site(pue_milli=1250), at=NOON)

        assert energy.microwatt_hours == 1_250_000
        assert energy.method is EnergyMethod.MEASURED
        assert "essonne-1, 1.25" in energy.note

    def test_keeps_its_method(self) -> None:
        """A share of a meter stays a share: it is not called measured."""
        reading = Reading(1, EnergyMethod.APPORTIONED)

        assert (
            attribute(HOUR_OF_ONE_CORE, reading, site=None, at=NOON).method
            is EnergyMethod.APPORTIONED
        )

    def test_reading_of_nothing(self) -> None:
        """A meter that read nothing is a reading: nothing is estimated in its place."""
        energy = attribute(HOUR_OF_ONE_CORE, Reading(0, EnergyMethod.MEASURED), site=None, at=NOON)

        assert (energy.microwatt_hours, energy.method) == (0, EnergyMethod.MEASURED)


class TestEstimated:
    def test_core_hour(self) -> None:
        """A core that was busy for an hour took what the model says, and the note names the model."""
        energy = attribute(HOUR_OF_ONE_CORE, None, site=None, at=NOON)

        assert energy.microwatt_hours == DEFAULT.busy_core_milliwatts * 1000
        assert energy.method is EnergyMethod.ESTIMATED
        assert DEFAULT.name in energy.note
        assert "3.5 W a busy core" in energy.note
        assert "without a PUE" in energy.note

    def test_accelerators_at_rated_power(self) -> None:
        """Accelerators without a meter are taken at rated power, and the note says at most."""
        use = ComputeUse(0, 0, accelerator_milliseconds=3_600_000, accelerator_type="B200")
        energy = attribute(use, None, site=None, at=NOON)

        assert energy.microwatt_hours == 1000 * 10**6
        assert "1000 W a held B200 (rated power: at most this)" in energy.note

    def test_unknown_accelerator(self) -> None:
        """A type that states no power is taken at the model's default."""
        use = ComputeUse(0, 0, accelerator_milliseconds=1000, accelerator_type="Unheard")

        assert estimate_microjoules(use, DEFAULT) == DEFAULT.accelerator_default_watts * 1_000_000


class TestCarbon:
    def test_factor(self) -> None:
        """A kilowatt-hour in France emits the zone's factor; the record says whose and of when."""
        reading = Reading(3600 * 10**9, EnergyMethod.MEASURED)
        energy = attribute(
            HOUR_OF_ONE_CORE, reading, site=site(pue_milli=1000, grid_zone="FRA"), at=NOON
        )

        assert energy.microwatt_hours == 10**9
        factor = carbon_factor("FRA", NOON)
        assert factor is not None
        assert energy.carbon_micrograms == factor.milligrams_per_kwh * 1000
        assert energy.carbon_source is not None
        for part in (factor.source, "FRA", factor.vintage, f"{factor.milligrams_per_kwh} mg/kWh"):
            assert part in energy.carbon_source

    def test_unknown_zone(self) -> None:
        """Where no factor is known there is no figure, rather than a made-up one."""
        energy = attribute(HOUR_OF_ONE_CORE, None, site=site(grid_zone="XXX"), at=NOON)

        assert energy.carbon_micrograms is None
        assert energy.carbon_source is None


@given(
    microjoules=st.lists(st.integers(0, 10**12), min_size=1, max_size=50),
    pue_milli=st.integers(1000, 3000),
)
def test_windows_add_up(microjoules: list[int], pue_milli: int) -> None:
    """Energy taken in windows is that of the whole, but for half a microwatt-hour a window."""
    where = site(pue_milli=pue_milli)

    def energy(amount: int) -> int:
        reading = Reading(amount, EnergyMethod.MEASURED)
        return attribute(HOUR_OF_ONE_CORE, reading, site=where, at=NOON).microwatt_hours

    difference = sum(map(energy, microjoules)) - energy(sum(microjoules))

    assert 2 * abs(difference) <= len(microjoules) + 1
