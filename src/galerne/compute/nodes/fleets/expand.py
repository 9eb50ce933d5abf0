"""From rack templates to nodes, and what a site draws. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from galerne.catalog.accelerators.service import canonical_name
from galerne.catalog.power import DEFAULT as POWER
from galerne.compute.nodes.fleets.errors import FleetInvalid
from galerne.compute.nodes.fleets.schemas import NODES_MAX, FleetFile, RacksStated, SiteStated
from galerne.compute.nodes.schemas import NodeFacts


@dataclass(frozen=True, slots=True)
class Power:
    """What one node draws: idle, and added at full load by all cores and by each accelerator."""

    idle_watts: int
    cpu_watts: int
    accelerator_watts: int

    def full_watts(self, accelerators: int) -> int:
        return self.idle_watts + self.cpu_watts + accelerators * self.accelerator_watts


def check(fleet: FleetFile) -> None:
    """Raise `FleetInvalid` for what a schema cannot see: names used twice, and too many nodes."""
    names = [site.name for site in fleet.sites]
    for name in names:
        if names.count(name) > 1:
            raise FleetInvalid(f"the site {name} is stated twice", hint="state each site once")
    for site in fleet.sites:
        prefixes = [racks.name for racks in site.racks]
        if len(set(prefixes)) < len(prefixes):
            raise FleetInvalid(
                f"two kinds of rack of {site.name} have one name",
                hint="give each entry of `racks` its own `name`",
            )
    nodes = sum(racks.count * racks.nodes for site in fleet.sites for racks in site.racks)
    if nodes > NODES_MAX:
        raise FleetInvalid(
            f"the file states {nodes:,} nodes; at most {NODES_MAX:,} are taken at once",
            hint="import the sites from several files",
        )


def expand(site: SiteStated) -> Iterator[NodeFacts]:
    """Name and describe every node of a site: `essonne-r001-n01` is the first of the first rack."""
    for racks in site.racks:
        kind, count = accelerators_of(racks)
        power = power_of(site, racks)
        rack_digits, node_digits = len(str(racks.count)), len(str(racks.nodes))
        for rack_number in range(1, racks.count + 1):
            rack = f"{site.name}-{racks.name}{rack_number:0{rack_digits}d}"
            for node_number in range(1, racks.nodes + 1):
                yield NodeFacts(
                    name=f"{rack}-n{node_number:0{node_digits}d}",
                    cpu_millis=round(racks.node.cpu * 1000),
                    memory_bytes=racks.node.memory,
                    disk_bytes=racks.node.disk,
                    idle_watts=power.idle_watts,
                    cpu_watts=power.cpu_watts,
                    accelerator_watts=power.accelerator_watts,
                    accelerator_type=kind,
                    accelerators=count,
                    rack=rack,
                    nvlink_domain=rack if racks.nvlink_domain else None,
                    architecture=racks.node.architecture,
                    cpu_model=racks.node.cpu_model,
                )


def accelerators_of(racks: RacksStated) -> tuple[str | None, int]:
    """Return the accelerator type of a rack's nodes and the count on each."""
    if racks.node.accelerators is None:
        return None, 0
    name, _, count = racks.node.accelerators.rpartition(":")
    return canonical_name(name), int(count)


def power_of(site: SiteStated, racks: RacksStated) -> Power:
    """Return what one node draws: the rack's stated power shared out, else by the power model.

    Of what full load adds, accelerators carry their rated part, and the cores the rest.
    """
    kind, count = accelerators_of(racks)
    cpu_millis = round(racks.node.cpu * 1000)
    idle = POWER.node_idle_watts(
        cpu_millis=cpu_millis,
        memory_bytes=racks.node.memory,
        accelerators=count,
        rated_watts=POWER.accelerator_rated_watts(kind),
    )
    if racks.idle_power is not None:
        idle = -(-racks.idle_power // racks.nodes)
    added = POWER.accelerator_added_watts(kind) if count else 0
    if racks.power is None:
        return Power(idle, POWER.node_cpu_watts(cpu_millis), added)
    full = -(-racks.power // racks.nodes)
    if full < idle:
        raise FleetInvalid(
            f"racks {racks.name} of {site.name}: {racks.power:,} W at full load is less than what"
            f" they draw idle, {idle * racks.nodes:,} W",
            hint="state `power` for the whole rack, and `idle_power` if you know it",
        )
    accelerator = min(added, (full - idle) // count) if count else 0
    return Power(idle, full - idle - count * accelerator, accelerator)


def site_watts(site: SiteStated) -> tuple[int, int]:
    """Return what the site draws at the meter, idle and at full load, PUE included, rounded up."""
    idle = full = 0
    for racks in site.racks:
        power = power_of(site, racks)
        nodes = racks.count * racks.nodes
        idle += nodes * power.idle_watts
        full += nodes * power.full_watts(accelerators_of(racks)[1])
    return -(-idle * site.pue_milli // 1000), -(-full * site.pue_milli // 1000)
