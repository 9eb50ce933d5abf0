"""The fleet and the queue at one moment, as immutable values: all that placement looks at."""

from dataclasses import dataclass, field
from typing import NamedTuple

from galerne.sovereignty.labels import Label, Place


class Amount(NamedTuple):
    """What a node has, has free, or is asked for. Scarcest first: the order of best fit."""

    accelerators: int
    cpu_millis: int
    memory_bytes: int
    disk_bytes: int

    def fits_in(self, free: "Amount") -> bool:
        return (
            self[0] <= free[0] and self[1] <= free[1] and self[2] <= free[2] and self[3] <= free[3]
        )

    def taken_from(self, free: "Amount") -> "Amount":
        return Amount(free[0] - self[0], free[1] - self[1], free[2] - self[2], free[3] - self[3])


class Kind(NamedTuple):
    """Nodes that are alike when empty."""

    accelerator_type: str  # "" where it has none.
    total: Amount
    cpu_watts: int  # Added by all cores at full load.
    accelerator_watts: int  # Added by each accelerator at full load.

    def draw_milliwatts(self, demand: Amount) -> int:
        """Return what `demand` adds to the node's idle power at full use, rounded up."""
        by_cpu = -(-demand.cpu_millis * self.cpu_watts * 1000 // max(1, self.total.cpu_millis))
        return demand.accelerators * self.accelerator_watts * 1000 + by_cpu

    def serves(self, wish: "Wish") -> bool:
        """Say whether an empty node of this kind could serve as one of the wish's nodes."""
        if wish.demand.accelerators and wish.accelerator_type not in (None, self.accelerator_type):
            return False
        return wish.demand.fits_in(self.total)


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """A node at one moment."""

    id: str
    name: str
    site_id: str
    driver: str
    domain: str  # NVLink domain, else rack, else "": nodes of one are close to each other.
    kind: Kind
    free: Amount
    is_open: bool = True  # Takes new work now.
    is_staying: bool = True  # Will take new work again, if it is not open: down, not drained.


@dataclass(frozen=True, slots=True)
class SiteSnapshot:
    """A site at one moment."""

    id: str
    name: str
    place: Place
    operator: str
    is_simulated: bool = False
    pue_milli: int = 1000
    power_cap_watts: int | None = None  # At the meter: the load times the PUE stays below it.
    idle_milliwatts: int = 0  # Of all nodes that are not down, with nothing placed.
    load_milliwatts: int = 0  # Added by what is held now.
    carbon_milligrams_per_kwh: int | None = None

    def budget_milliwatts(self) -> int | None:
        """Return what work may draw at this site in all, beyond idle; None: no cap."""
        if self.power_cap_watts is None:
            return None
        return self.power_cap_watts * 1_000_000 // self.pue_milli - self.idle_milliwatts


@dataclass(frozen=True, slots=True)
class Fleet:
    """All sites and nodes. Nodes are in one fixed order, which makes placement deterministic."""

    sites: tuple[SiteSnapshot, ...]
    nodes: tuple[NodeSnapshot, ...]

    @classmethod
    def of(cls, sites: list[SiteSnapshot], nodes: list[NodeSnapshot]) -> "Fleet":
        return cls(
            tuple(sorted(sites, key=lambda site: site.name)),
            tuple(sorted(nodes, key=lambda node: (node.site_id, node.name))),
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted and where it may be; alike wishes have alike answers."""

    demand: Amount  # On each node.
    label: Label
    accelerator_type: str | None = None  # None: any.
    nodes: int = 1  # Distinct nodes of one site and driver: all of them or none.
    site: str | None = None  # Name of the only site wanted.


@dataclass(frozen=True, slots=True)
class Request:
    """One waiting lease."""

    id: str
    wish: Wish
    priority: int = 50
    turn: int = 1  # 1 for the oldest of its project and priority, 2 for the next.
    waited_seconds: float = field(default=0.0)
