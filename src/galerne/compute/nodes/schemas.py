"""Shapes of nodes and of what is granted on them."""

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel

from galerne.catalog.sites.models import Site
from galerne.compute.nodes.models import Node


@dataclass(frozen=True, slots=True)
class GrantedNode:
    """One node of a grant, and what the lease adds to its power at full use."""

    id: str
    name: str
    power_milliwatts: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What scheduling gives to one lease: the same amount on each of some nodes of one site."""

    site_id: str
    driver: str
    nodes: tuple[GrantedNode, ...]
    cpu_millis: int  # On each node, as the next three.
    memory_bytes: int
    disk_bytes: int
    accelerators: int


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a driver or a fleet file states of a node."""

    name: str
    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    idle_watts: int
    cpu_watts: int
    accelerator_watts: int
    accelerator_type: str | None = None
    accelerators: int = 0
    rack: str | None = None
    nvlink_domain: str | None = None
    architecture: str = ""
    cpu_model: str = ""
    isolation: tuple[str, ...] = ()
    energy_meters: tuple[str, ...] = ()


@dataclass(slots=True)
class NodeChanges:
    """What bringing a pool to its stated nodes did, by node name."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    drained: list[str] = field(default_factory=list)  # No longer stated.


class Capacity(BaseModel):
    """An amount of what nodes have."""

    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    accelerators: int


class NodeOut(BaseModel):
    """A node as the API shows it."""

    id: str
    name: str
    site: str
    country: str
    driver: str
    is_simulated: bool
    rack: str | None
    nvlink_domain: str | None
    architecture: str
    cpu_model: str
    accelerator_type: str | None
    capacity: Capacity
    used: Capacity  # For the operator: by all. For a tenant: by itself.
    free: Capacity | None  # For the operator only: it would tell a tenant what others do.
    isolation: list[str]
    energy_meters: list[str]
    idle_watts: int
    state: str
    seen_at: datetime


def node_out(node: Node, site: Site, *, used: Capacity, is_operator: bool) -> NodeOut:
    """Show `node` with what is used of it."""
    total = Capacity(
        cpu_millis=node.cpu_millis,
        memory_bytes=node.memory_bytes,
        disk_bytes=node.disk_bytes,
        accelerators=node.accelerators,
    )
    free = Capacity(
        cpu_millis=total.cpu_millis - used.cpu_millis,
        memory_bytes=total.memory_bytes - used.memory_bytes,
        disk_bytes=total.disk_bytes - used.disk_bytes,
        accelerators=total.accelerators - used.accelerators,
    )
    return NodeOut(
        id=node.id,
        name=node.name,
        site=site.name,
        country=site.country,
        driver=node.driver,
        is_simulated=site.is_simulated,
        rack=node.rack,
        nvlink_domain=node.nvlink_domain,
        architecture=node.architecture,
        cpu_model=node.cpu_model,
        accelerator_type=node.accelerator_type,
        capacity=total,
        used=used,
        free=free if is_operator else None,
        isolation=node.isolation,
        energy_meters=node.energy_meters,
        idle_watts=node.idle_watts,
        state=node.state.value,
        seen_at=node.seen_at,
    )
