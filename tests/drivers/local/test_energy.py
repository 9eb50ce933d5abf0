"""Energy meters on a made-up sysfs and a made-up NVML: neither was on the machine this was written on."""

from pathlib import Path

import pytest

from galerne.drivers.local import energy, nvml
from galerne.drivers.local.discovery import group_accelerators
from galerne.drivers.local.energy import EnergyMeter


class Tree:
    """A powercap tree and a /proc/stat that a test moves."""

    def __init__(self, root: Path) -> None:
        self.powercap = root / "powercap"
        self.stat = root / "stat"
        self.set_busy(0)

    def zone(self, name: str, label: str, energy_uj: int) -> None:
        directory = self.powercap / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "name").write_text(label + "\n", encoding="ascii")
        (directory / "max_energy_range_uj").write_text("1000000\n", encoding="ascii")
        (directory / "energy_uj").write_text(f"{energy_uj}\n", encoding="ascii")

    def set_busy(self, ticks: int) -> None:
        self.stat.write_text(f"cpu  {ticks} 0 0 5000 100 0 0 0 0 0\ncpu0 1 1\n", encoding="ascii")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


class TestRapl:
    def test_packages_only(self, tree: Tree) -> None:
        """Packages are meters; cores and memory are parts of them and would count twice."""
        tree.zone("intel-rapl:0", "package-0", 1)
        tree.zone("intel-rapl:0:0", "core", 1)
        tree.zone("intel-rapl:1", "package-1", 1)
        zones = energy.rapl_zones(str(tree.powercap))
        assert [zone.name for zone in zones] == ["rapl:package-0", "rapl:package-1"]

    def test_unreadable_is_no_meter(self, tree: Tree) -> None:
        """A counter that only root may read, or none at all, is no meter."""
        assert energy.rapl_zones(str(tree.powercap)) == []
        tree.zone("intel-rapl:0", "package-0", 1)
        (tree.powercap / "intel-rapl:0" / "energy_uj").unlink()
        assert energy.rapl_zones(str(tree.powercap)) == []

    def test_share_by_cpu_time(self, tree: Tree) -> None:
        """A launch with a quarter of the machine's CPU time gets a quarter of the energy."""
        tree.zone("intel-rapl:0", "package-0", 500)
        meter = EnergyMeter(powercap=str(tree.powercap), stat=str(tree.stat))
        tree.zone("intel-rapl:0", "package-0", 4500)
        tree.set_busy(400)  # Four seconds at 100 ticks a second.
        assert meter.advance(1_000_000_000) == {
            "energy_microjoules": 1000,
            "energy_method": "apportioned",
        }

    def test_wrap(self, tree: Tree) -> None:
        """A counter that begins again at its range loses nothing."""
        tree.zone("intel-rapl:0", "package-0", 999_000)
        meter = EnergyMeter(powercap=str(tree.powercap), stat=str(tree.stat))
        tree.zone("intel-rapl:0", "package-0", 500)
        tree.set_busy(100)
        assert meter.advance(1_000_000_000)["energy_microjoules"] == 1500

    def test_never_more_than_the_meter(self, tree: Tree) -> None:
        """Clocks that disagree do not give a launch more energy than the machine used."""
        tree.zone("intel-rapl:0", "package-0", 0)
        meter = EnergyMeter(powercap=str(tree.powercap), stat=str(tree.stat))
        tree.zone("intel-rapl:0", "package-0", 100)
        tree.set_busy(1)
        assert meter.advance(60_000_000_000)["energy_microjoules"] == 100


class TestMeter:
    def test_none(self, tree: Tree) -> None:
        """Without a meter there is no figure: metering estimates and says so."""
        meter = EnergyMeter(powercap=str(tree.powercap), stat=str(tree.stat))
        assert meter.advance(1) == {"energy_microjoules": None, "energy_method": None}

    def test_accelerators_are_measured(self, tree: Tree) -> None:
        """An allotted accelerator's own counter counts from the start, and never goes back."""
        readings = iter([100, 150, 0, 170])
        meter = EnergyMeter(
            counters=[lambda: next(readings)], powercap=str(tree.powercap), stat=str(tree.stat)
        )
        figures = [meter.advance(1) for _ in range(3)]
        assert [figure["energy_microjoules"] for figure in figures] == [50, 50, 70]
        assert figures[0]["energy_method"] == "measured"

    def test_both_take_the_weaker_word(self, tree: Tree) -> None:
        """Measured and apportioned energy add up to an apportioned figure."""
        tree.zone("intel-rapl:0", "package-0", 0)
        readings = iter([0, 7])
        meter = EnergyMeter(
            counters=[lambda: next(readings)], powercap=str(tree.powercap), stat=str(tree.stat)
        )
        assert meter.advance(1) == {"energy_microjoules": 7, "energy_method": "apportioned"}


class MadeUpNvml:
    """Two accelerators, one of which has no energy counter."""

    class NVMLError(Exception):
        pass

    class Memory:
        total = 80_000

    def __init__(self, *, works: bool = True) -> None:
        self._works = works

    def nvmlInit(self) -> None:  # noqa: N802 - the library's name
        if not self._works:
            raise self.NVMLError

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - the library's name
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - the library's name
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes | str:  # noqa: N802 - the library's name
        return b"NVIDIA H100 80GB HBM3" if handle else "NVIDIA H100 80GB HBM3"

    def nvmlDeviceGetMinorNumber(self, handle: int) -> int:  # noqa: N802 - the library's name
        return handle + 4

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802 - the library's name
        return f"GPU-{handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Memory:  # noqa: ARG002, N802 - the library's
        return self.Memory()

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802 - the library's
        if handle == 1:
            raise self.NVMLError
        return 5


class TestNvml:
    def test_devices(self) -> None:
        """Accelerators are named as the catalogue does and counted by type."""
        devices = nvml.devices(MadeUpNvml())
        assert [(d.type, d.minor, d.uuid, d.energy) for d in devices] == [
            ("H100", 4, "GPU-0", True),
            ("H100", 5, "GPU-1", False),
        ]
        (report,) = group_accelerators(devices)
        assert (report.type, report.count, report.memory_bytes) == ("H100", 2, 80_000)

    def test_counters(self) -> None:
        """Only accelerators with a counter are read, in microjoules."""
        assert [counter() for counter in nvml.energy_counters([0, 1], MadeUpNvml())] == [5000]

    def test_no_library(self) -> None:
        """A machine without NVML has no accelerators, and that is no error."""
        assert nvml.devices(MadeUpNvml(works=False)) == []
        assert nvml.energy_counters([0], MadeUpNvml(works=False)) == []
