"""Every statement on `capacity_leases`."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select, update

from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.rows import Queued
from galerne.compute.leases.states import LeaseState
from galerne.db.repository import Repository
from galerne.db.types import JsonObject

_QUEUE_COLUMNS = (
    CapacityLease.id,
    CapacityLease.project_id,
    CapacityLease.cpu_millis,
    CapacityLease.memory_bytes,
    CapacityLease.disk_bytes,
    CapacityLease.accelerator_type,
    CapacityLease.accelerators,
    CapacityLease.nodes,
    CapacityLease.label,
    CapacityLease.site,
    CapacityLease.priority,
    CapacityLease.shape,
    CapacityLease.requested_at,
    CapacityLease.waiting,
)


class LeaseRepository(Repository[CapacityLease]):
    """Statements on `capacity_leases`."""

    model = CapacityLease

    async def by_ids(self, lease_ids: Sequence[str]) -> Mapping[str, CapacityLease]:
        found = await self.session.scalars(
            select(CapacityLease).where(CapacityLease.id.in_(lease_ids))
        )
        return {lease.id: lease for lease in found}

    async def locked(
        self, lease_ids: Sequence[str], *conditions: ColumnElement[bool]
    ) -> Sequence[CapacityLease]:
        """Return the leases, as they are now, locked until the transaction ends."""
        statement = (
            select(CapacityLease)
            .where(CapacityLease.id.in_(lease_ids), *conditions)
            .order_by(CapacityLease.id)  # One order for all, so that two lockers cannot deadlock.
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return (await self.session.scalars(statement)).all()

    async def current_of_units(self, unit_ids: Sequence[str]) -> Mapping[str, CapacityLease]:
        """Return the newest lease of each unit that has one."""
        found = await self.session.scalars(
            select(CapacityLease)
            .where(CapacityLease.unit_id.in_(unit_ids))
            .order_by(CapacityLease.id)
        )
        return {lease.unit_id: lease for lease in found}

    async def held_untaken(self, prefix: str, *, limit: int) -> Sequence[CapacityLease]:
        statement = (
            select(CapacityLease)
            .where(
                CapacityLease.awaits_take_up(),
                CapacityLease.unit_id.startswith(f"{prefix}_", autoescape=True),
            )
            .order_by(CapacityLease.id)
            .limit(limit)
        )
        return (await self.session.scalars(statement)).all()

    async def any_waiting(self) -> bool:
        statement = select(CapacityLease.id).where(CapacityLease.state == LeaseState.WAITING)
        return await self.session.scalar(statement.limit(1)) is not None

    async def queue(self, *, alike_max: int, limit: int) -> Sequence[Queued]:
        """Return waiting leases in the order in which they are to be considered.

        Priority first; within one, projects take turns, each offering its oldest. Of leases that are
        alike in all but age only the first `alike_max` of a project come: where one of them cannot be
        placed, the next could not either.
        """
        project = (CapacityLease.priority, CapacityLease.project_id)
        age = (CapacityLease.requested_at, CapacityLease.id)
        turn = func.row_number().over(partition_by=project, order_by=age).label("turn")
        alike = (
            func.row_number()
            .over(partition_by=(*project, CapacityLease.shape), order_by=age)
            .label("alike")
        )
        numbered = (
            select(*_QUEUE_COLUMNS, turn, alike)
            .where(CapacityLease.state == LeaseState.WAITING)
            .subquery()
        )
        columns = numbered.c
        statement = (
            select(*(columns[column.key] for column in _QUEUE_COLUMNS), columns.turn)
            .where(columns.alike <= alike_max)
            .order_by(columns.priority.desc(), columns.turn, columns.requested_at, columns.id)
            .limit(limit)
        )
        rows: Sequence[Any] = (await self.session.execute(statement)).all()
        return [Queued(*row) for row in rows]

    async def write_waiting(self, reasons: Mapping[str, JsonObject]) -> None:
        """Write why leases wait, in one statement for all."""
        if reasons:
            await self.session.execute(
                update(CapacityLease),
                [{"id": lease_id, "waiting": reason} for lease_id, reason in reasons.items()],
            )
