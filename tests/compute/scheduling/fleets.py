"""Builds fleets and requests for placement tests."""

from galerne.compute.scheduling.snapshot import (
    Amount,
    Fleet,
    Kind,
    NodeSnapshot,
    Request,
    SiteSnapshot,
    Wish,
)
from galerne.sovereignty.labels import Label, Place, parse_label

GIGABYTE = 1_000_000_000
ANYWHERE = Label()
FRANCE = parse_label(["FR"])


def amount(accelerators: int = 0, cores: int = 1, gigabytes: int = 1) -> Amount:
    return Amount(accelerators, cores * 1000, gigabytes * GIGABYTE, 0)


def site(
    name: str,
    country: str = "FR",
    *,
    cap_watts: int | None = None,
    idle_watts: int = 0,
    pue_milli: int = 1000,
    is_simulated: bool = False,
    carbon: int | None = None,
) -> SiteSnapshot:
    return SiteSnapshot(
        id=f"site_{name}",
        name=name,
        place=Place(name, country, frozenset({country})),
        operator=f"{name} operations",
        is_simulated=is_simulated,
        pue_milli=pue_milli,
        power_cap_watts=cap_watts,
        idle_milliwatts=idle_watts * 1000,
        carbon_milligrams_per_kwh=carbon,
    )


def node(
    name: str,
    at: SiteSnapshot,
    total: Amount,
    *,
    used: Amount | None = None,
    accelerator: str = "",
    domain: str = "",
    watts: int = 0,
    is_open: bool = True,
    is_staying: bool = True,
) -> NodeSnapshot:
    """Return a node whose cores, and each of whose accelerators, add `watts` at full load."""
    return NodeSnapshot(
        id=f"node_{name}",
        name=name,
        site_id=at.id,
        driver="fake",
        domain=domain,
        kind=Kind(accelerator, total, watts, watts),
        free=used.taken_from(total) if used else total,
        is_open=is_open,
        is_staying=is_staying,
    )


def rack(at: SiteSnapshot, number: int, *, nodes: int = 18, used: int = 0) -> list[NodeSnapshot]:
    """Return one NVLink domain of nodes with four GB200; the first `used` of them have none free."""
    total = amount(4, cores=144, gigabytes=960)
    return [
        node(
            f"{at.name}-r{number:03d}-n{position:02d}",
            at,
            total,
            used=total if position < used else None,
            accelerator="GB200",
            domain=f"{at.name}-r{number:03d}",
        )
        for position in range(nodes)
    ]


def request(
    name: str,
    demand: Amount,
    *,
    label: Label = ANYWHERE,
    nodes: int = 1,
    accelerator: str | None = None,
    at: str | None = None,
    priority: int = 50,
    turn: int = 1,
    waited_seconds: float = 0,
) -> Request:
    wish = Wish(demand, label, accelerator_type=accelerator, nodes=nodes, site=at)
    return Request(name, wish, priority=priority, turn=turn, waited_seconds=waited_seconds)


def fleet(sites: list[SiteSnapshot], *nodes: list[NodeSnapshot]) -> Fleet:
    return Fleet.of(sites, [node for group in nodes for node in group])
