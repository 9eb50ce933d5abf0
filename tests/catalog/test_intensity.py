"""Grid carbon: sourced, dated, and exact to the milligram."""

from datetime import UTC, datetime

import pytest

from galerne.catalog.intensity import carbon_factor, carbon_factors

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class TestFactors:
    @pytest.mark.parametrize(
        ("zone", "milligrams"), [("FRA", 41_400), ("DEU", 329_700), ("CHE", 39_200)]
    )
    def test_the_factor_in_force(self, zone: str, milligrams: int) -> None:
        """Figures are the source's own, with no float on the way."""
        found = carbon_factor(zone, NOW)
        assert found is not None
        assert (found.milligrams_per_kwh, found.valid_to) == (milligrams, None)

    def test_every_factor_has_source_and_vintage(self) -> None:
        """A factor that does not say where it is from is not shown to anybody."""
        for factors in carbon_factors().values():
            assert all(found.source and found.vintage for found in factors)

    def test_time_chooses_the_factor(self) -> None:
        """Use is counted by the factor of its own time; before the first, by the first."""
        at_2025 = carbon_factor("FRA", datetime(2025, 6, 1, tzinfo=UTC))
        long_ago = carbon_factor("FRA", datetime(2001, 1, 1, tzinfo=UTC))
        assert at_2025 is not None
        assert at_2025.milligrams_per_kwh == 44_180
        assert at_2025.valid_to == datetime(2026, 1, 1, tzinfo=UTC)
        assert long_ago == at_2025

    def test_an_unknown_zone_has_none(self) -> None:
        """No factor is made up."""
        assert carbon_factor("XXX", NOW) is None


class TestEmissions:
    def test_a_kilowatt_hour_emits_its_factor(self) -> None:
        """10⁹ µWh at 41,400 mg/kWh are 41.4 g; less than half a microgram rounds to nothing."""
        found = carbon_factor("FRA", NOW)
        assert found is not None
        assert found.micrograms(1_000_000_000) == 41_400_000
        assert found.micrograms(0) == 0
        assert found.micrograms(12) == 0
        assert found.micrograms(13) == 1
