"""Shapes of nodes and of what is granted on them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrantedNode:
    """One node of a grant."""

    id: str
    name: str


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
    power_milliwatts: int
