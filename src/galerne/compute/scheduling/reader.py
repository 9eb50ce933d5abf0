"""Reads the fleet from the database as the values that placement looks at."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.catalog.accelerators.service import canonical_name
from galerne.catalog.intensity import carbon_factor
from galerne.catalog.sites.models import Site
from galerne.catalog.sites.service import SiteService
from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.nodes.rows import NOTHING, KindRow, NodeRow, Used
from galerne.compute.nodes.service import NodeService
from galerne.compute.nodes.states import NodeState
from galerne.compute.scheduling.placement import Board, PoolKey
from galerne.compute.scheduling.snapshot import (
    Amount,
    Fleet,
    Kind,
    NodeSnapshot,
    SiteSnapshot,
    Wish,
)
from galerne.kit.clock import Clock


async def read_fleet(session: AsyncSession, clock: Clock) -> Fleet:
    """Read all sites, nodes and what is held of them."""
    nodes = NodeService(session, clock)
    # Holdings first: what is released while we read still counts as held, never the other way round.
    used = await nodes.used_by_node()
    rows = await nodes.rows()
    idle: dict[str, int] = {}
    load: dict[str, int] = {}
    for row in rows:
        if row.state is not NodeState.DOWN:
            idle[row.site_id] = idle.get(row.site_id, 0) + row.idle_watts * 1000
        power = used.get(row.id, NOTHING).power_milliwatts
        load[row.site_id] = load.get(row.site_id, 0) + power
    sites = await SiteService(session, clock).list()
    return Fleet.of(_sites(sites, clock, idle=idle, load=load), _nodes(rows, used))


async def read_kinds(session: AsyncSession, clock: Clock) -> Board:
    """Read how many nodes of which kind there are: enough to say what could ever be placed."""
    kinds: dict[PoolKey, dict[Kind, int]] = {}
    idle: dict[str, int] = {}
    for row in await NodeService(session, clock).kinds():
        staying = kinds.setdefault((row.site_id, row.driver), {})
        kind = _kind(row)
        staying[kind] = staying.get(kind, 0) + row.nodes
        if row.state is not NodeState.DOWN:
            idle[row.site_id] = idle.get(row.site_id, 0) + row.nodes * row.idle_watts * 1000
    sites = await SiteService(session, clock).list()
    return Board(Fleet.of(_sites(sites, clock, idle=idle, load={}), []), kinds=kinds)


def wish_of(request: LeaseRequest) -> Wish:
    """Return what placement needs to know of a request."""
    kind = request.accelerator_type
    return Wish(
        demand=Amount(
            accelerators=request.accelerators,
            cpu_millis=request.cpu_millis,
            memory_bytes=request.memory_bytes,
            disk_bytes=request.disk_bytes,
        ),
        label=request.label,
        accelerator_type=canonical_name(kind) if kind else None,
        nodes=request.nodes,
        site=request.site,
    )


def _sites(
    sites: Sequence[Site], clock: Clock, *, idle: Mapping[str, int], load: Mapping[str, int]
) -> list[SiteSnapshot]:
    now = clock.now()
    found = []
    for site in sites:
        carbon = carbon_factor(site.grid_zone, now)
        found.append(
            SiteSnapshot(
                id=site.id,
                name=site.name,
                place=site.place(),
                operator=site.operator,
                is_simulated=site.is_simulated,
                pue_milli=site.pue_milli,
                power_cap_watts=site.power_cap_watts,
                idle_milliwatts=idle.get(site.id, 0),
                load_milliwatts=load.get(site.id, 0),
                carbon_milligrams_per_kwh=carbon.milligrams_per_kwh if carbon else None,
            )
        )
    return found


def _nodes(rows: Sequence[NodeRow], used: Mapping[str, Used]) -> list[NodeSnapshot]:
    kinds: dict[Kind, Kind] = {}  # One object for all nodes of a kind.
    found = []
    for row in rows:
        kind = _kind(row)
        kind = kinds.setdefault(kind, kind)
        held = used.get(row.id)
        free = kind.total if held is None else _amount(held).taken_from(kind.total)
        found.append(
            NodeSnapshot(
                id=row.id,
                name=row.name,
                site_id=row.site_id,
                driver=row.driver,
                domain=row.nvlink_domain or row.rack or "",
                kind=kind,
                free=free,
                is_open=row.state is NodeState.READY and not row.drain_wanted,
                is_staying=not row.drain_wanted,
            )
        )
    return found


def _kind(row: NodeRow | KindRow) -> Kind:
    return Kind(row.accelerator_type or "", _amount(row), row.cpu_watts, row.accelerator_watts)


def _amount(row: NodeRow | KindRow | Used) -> Amount:
    return Amount(row.accelerators, row.cpu_millis, row.memory_bytes, row.disk_bytes)
