"""Nodes as plain rows: what is read of them by the thousand, without the ORM."""

from typing import NamedTuple

from galerne.compute.nodes.states import NodeState


class Used(NamedTuple):
    """What is held of a node."""

    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    accelerators: int
    power_milliwatts: int


NOTHING = Used(0, 0, 0, 0, 0)


class NodeRow(NamedTuple):
    """A node as scheduling reads it: plain columns, cheap by the thousand."""

    id: str
    name: str
    site_id: str
    driver: str
    rack: str | None
    nvlink_domain: str | None
    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    accelerator_type: str | None
    accelerators: int
    idle_watts: int
    cpu_watts: int
    accelerator_watts: int
    state: NodeState
    drain_wanted: bool


class KindRow(NamedTuple):
    """Nodes that are alike when empty, and how many."""

    site_id: str
    driver: str
    accelerator_type: str | None
    accelerators: int
    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    idle_watts: int
    cpu_watts: int
    accelerator_watts: int
    state: NodeState
    nodes: int
