"""The table of leases."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, ColumnElement, Index, String, and_
from sqlalchemy.orm import Mapped, mapped_column

from galerne.compute.leases.states import TRANSITIONS, LeaseState
from galerne.db.base import ID_LENGTH, ProjectRecord
from galerne.db.types import Json, JsonObject, UtcDateTime, enum_column
from galerne.events.transition import Transitions


class CapacityLease(ProjectRecord):
    """Capacity that a workload wants, waits for, holds and gives back."""

    __tablename__ = "capacity_leases"
    __table_args__ = (
        # The scheduler's queue, and what a workload's reconciler has not yet taken up.
        Index("ix_capacity_leases_state_taken_up", "state", "taken_up"),
    )
    id_prefix = "lse"
    kind: ClassVar[str] = "lease"
    transitions: ClassVar[Transitions] = TRANSITIONS

    workload_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    unit_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)

    # Wanted: per node, as the drivers count it, on `nodes` nodes of one site.
    cpu_millis: Mapped[int] = mapped_column()
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    disk_bytes: Mapped[int] = mapped_column(BigInteger)
    accelerator_type: Mapped[str | None] = mapped_column(String(50))  # None: any type, or none.
    accelerators: Mapped[int] = mapped_column()
    nodes: Mapped[int] = mapped_column()
    label: Mapped[JsonObject] = mapped_column(Json)
    site: Mapped[str | None] = mapped_column(String(63))  # Name of the wanted site.
    priority: Mapped[int] = mapped_column()
    shape: Mapped[str] = mapped_column(
        String(32)
    )  # Digest of the above but priority: alike leases.
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)

    # Actual.
    state: Mapped[LeaseState] = mapped_column(enum_column(LeaseState))
    waiting: Mapped[JsonObject | None] = mapped_column(Json)  # {code, message, hint}.
    site_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    driver: Mapped[str | None] = mapped_column(String(20))
    node_ids: Mapped[list[str]] = mapped_column(Json)
    node_names: Mapped[list[str]] = mapped_column(Json)
    held_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    taken_up: Mapped[bool] = mapped_column(default=False)  # Its workload has seen it held.

    @classmethod
    def awaits_take_up(cls) -> ColumnElement[bool]:
        """Select leases that are held and that their workloads have not yet seen."""
        return and_(cls.state == LeaseState.HELD, cls.taken_up.is_(False))
