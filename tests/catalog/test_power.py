"""Power models: stated, and consistent between energy and power."""

from galerne.catalog.power import DEFAULT


class TestDefault:
    def test_it_says_where_it_is_from(self) -> None:
        """An estimate without a source would be an invention."""
        assert "Cloud Carbon Footprint" in DEFAULT.source

    def test_energy_of_busy_cores_is_their_power_times_time(self) -> None:
        """One core for an hour at full load: 3.5 Wh, that is 12,600 J."""
        assert DEFAULT.busy_microjoules(3600 * 10**9) == 12_600 * 10**6

    def test_energy_of_memory(self) -> None:
        """Ten gigabytes for a second: 3.92 J."""
        assert DEFAULT.memory_microjoules(10 * 10**9) == 3_920_000

    def test_a_node_idle_and_busy(self) -> None:
        """Eight cores: what they draw idle and what they add together make the busy figure."""
        idle = DEFAULT.node_idle_watts(
            cpu_millis=8000, memory_bytes=0, accelerators=0, rated_watts=0
        )
        assert idle + DEFAULT.node_cpu_watts(8000) == 6 + 23
        assert 8 * 3.5 <= 29

    def test_accelerators_by_their_rated_power(self) -> None:
        """A tenth idle and the rest added make the rated power; an unknown type has a default."""
        assert DEFAULT.accelerator_added_watts("GB200") == 1080
        assert DEFAULT.accelerator_rated_watts("Rhea1") == DEFAULT.accelerator_default_watts
