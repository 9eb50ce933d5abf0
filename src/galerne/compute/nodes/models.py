"""Tables of nodes and of what leases hold on them. Platform-wide; a holding names a lease, no more."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, synonym

from galerne.compute.nodes.states import TRANSITIONS, NodeState
from galerne.db.base import ID_LENGTH, Base, Record
from galerne.db.types import Json, UtcDateTime, enum_column
from galerne.events.transition import Transitions

NAME_LENGTH = 100


class Node(Record):
    """A machine that a driver can start work on."""

    __tablename__ = "nodes"
    __table_args__ = (
        UniqueConstraint("site_id", "name"),
        Index("ix_nodes_driver_seen_at", "driver", "seen_at"),
    )
    id_prefix = "node"
    kind: ClassVar[str] = "node"
    transitions: ClassVar[Transitions] = TRANSITIONS

    site_id: Mapped[str] = mapped_column(ForeignKey("sites.id"))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))  # What the driver calls it.
    driver: Mapped[str] = mapped_column(String(20))  # "local" or "fake".
    rack: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    nvlink_domain: Mapped[str | None] = mapped_column(String(NAME_LENGTH))

    architecture: Mapped[str] = mapped_column(String(20))
    cpu_model: Mapped[str] = mapped_column(String(200))
    cpu_millis: Mapped[int] = mapped_column()
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    disk_bytes: Mapped[int] = mapped_column(BigInteger)
    accelerator_type: Mapped[str | None] = mapped_column(String(50))  # As in catalog.accelerators.
    accelerators: Mapped[int] = mapped_column()
    isolation: Mapped[list[str]] = mapped_column(Json)
    energy_meters: Mapped[list[str]] = mapped_column(Json)

    # Power at the node: what it draws idle, and what all cores and each accelerator add at full load.
    idle_watts: Mapped[int] = mapped_column()
    cpu_watts: Mapped[int] = mapped_column()
    accelerator_watts: Mapped[int] = mapped_column()

    state: Mapped[NodeState] = mapped_column(enum_column(NodeState))
    drain_wanted: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # Changes of state are on record under the organization that operates the site.
    operator_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    organization_id = synonym("operator_id")
    project_id = None


class Holding(Base):
    """The part of one node that one lease holds. Exists exactly while the lease is held."""

    __tablename__ = "node_holdings"

    lease_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id"), primary_key=True, index=True)
    tenant_id: Mapped[str] = mapped_column(String(ID_LENGTH))  # So that a tenant can see its own.
    cpu_millis: Mapped[int] = mapped_column()
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    disk_bytes: Mapped[int] = mapped_column(BigInteger)
    accelerators: Mapped[int] = mapped_column()
    power_milliwatts: Mapped[int] = mapped_column(BigInteger)  # Added to the node's idle power.
