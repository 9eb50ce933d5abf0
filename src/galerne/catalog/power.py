"""Power models: what a machine draws where nothing meters it. Every figure so made is an estimate.

The CPU model is linear between idle and full load, for each core, with one share for memory. Its
coefficients are averages over server generations; a given machine may be off by a factor of two.
"""

from dataclasses import dataclass

from galerne.catalog.accelerators.service import accelerator_types, canonical_name

_GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PowerModel:
    """Watts, in thousandths, by core, gigabyte and accelerator; and where they are from."""

    name: str
    idle_core_milliwatts: int  # A core that does nothing.
    busy_core_milliwatts: int  # A core at full load, its idle part included.
    memory_milliwatts_per_gigabyte: int
    accelerator_idle_permille: int  # Of an accelerator's rated power, with nothing placed on it.
    accelerator_default_watts: int  # Rated power where a type states none.
    source: str

    def busy_microjoules(self, cpu_nanoseconds: int) -> int:
        """Return the energy of CPU time at full load, the cores' idle part included."""
        return cpu_nanoseconds * self.busy_core_milliwatts // 1_000_000

    def memory_microjoules(self, memory_byte_seconds: int) -> int:
        """Return the energy of memory held."""
        return memory_byte_seconds * self.memory_milliwatts_per_gigabyte * 1000 // _GIGABYTE

    def node_idle_watts(
        self, *, cpu_millis: int, memory_bytes: int, accelerators: int, rated_watts: int
    ) -> int:
        """Return what a node draws with nothing placed on it, rounded up."""
        milliwatts = cpu_millis * self.idle_core_milliwatts // 1000
        milliwatts += memory_bytes * self.memory_milliwatts_per_gigabyte // _GIGABYTE
        milliwatts += accelerators * rated_watts * self.accelerator_idle_permille
        return -(-milliwatts // 1000)

    def node_cpu_watts(self, cpu_millis: int) -> int:
        """Return what all cores at full load add to an idle node, rounded up."""
        added = self.busy_core_milliwatts - self.idle_core_milliwatts
        return -(-cpu_millis * added // 1_000_000)

    def accelerator_rated_watts(self, accelerator_type: str | None) -> int:
        """Return the rated power of one accelerator of the type."""
        known = accelerator_types().get(canonical_name(accelerator_type or ""))
        if known is None or known.tdp_watts is None:
            return self.accelerator_default_watts
        return known.tdp_watts

    def accelerator_added_watts(self, accelerator_type: str | None) -> int:
        """Return what one accelerator at full load adds to an idle node, rounded up."""
        rated = self.accelerator_rated_watts(accelerator_type)
        return rated - rated * self.accelerator_idle_permille // 1000


DEFAULT = PowerModel(
    name="cloud-averages",
    idle_core_milliwatts=740,
    busy_core_milliwatts=3500,
    memory_milliwatts_per_gigabyte=392,
    accelerator_idle_permille=100,
    accelerator_default_watts=1000,
    source=(
        "Cloud Carbon Footprint methodology: 0.74 W idle and 3.5 W busy for each virtual core"
        " (SPECpower averages), 0.392 W for each GB of memory; accelerators at their vendor's rated"
        " power, a tenth of it idle (our assumption)"
    ),
)
