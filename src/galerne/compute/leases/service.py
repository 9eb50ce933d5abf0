"""What can be done with leases. Scheduling alone holds one; its workload asks, takes up and releases."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.catalog.accelerators.service import canonical_name
from galerne.compute.leases.errors import LeaseNotFound
from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.repository import LeaseRepository
from galerne.compute.leases.rows import Queued
from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.leases.states import LeaseState
from galerne.compute.nodes.schemas import Grant
from galerne.compute.nodes.service import NodeService
from galerne.db.types import JsonObject
from galerne.events.emit import emit
from galerne.events.transition import transition
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id


class LeaseService:
    """The verbs of leases."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._leases = LeaseRepository(session)
        self._nodes = NodeService(session, clock)
        self._clock = clock

    async def request(
        self,
        request: LeaseRequest,
        *,
        organization_id: str,
        project_id: str,
        workload_id: str,
        unit_id: str,
        actor: str,
    ) -> CapacityLease:
        """Ask for capacity; scheduling gives it later. Not idempotent: the caller keeps the id."""
        now = self._clock.now()
        lease = self._leases.add(
            CapacityLease(
                id=new_id(CapacityLease.id_prefix),
                created_at=now,
                organization_id=organization_id,
                project_id=project_id,
                workload_id=workload_id,
                unit_id=unit_id,
                **_wanted(request),
                requested_at=now,
                state=LeaseState.WAITING,
                waiting=None,
                node_ids=[],
                node_names=[],
                taken_up=False,
            )
        )
        emit(
            self._session,
            f"{lease.kind}.{lease.state.value}",
            subject_id=lease.id,
            organization_id=organization_id,
            project_id=project_id,
            actor=actor,
            data={"workload_id": workload_id, "unit_id": unit_id},
            at=now,
        )
        return lease

    async def get(self, lease_id: str) -> CapacityLease:
        """Return the lease. Raises `LeaseNotFound`."""
        lease = await self._leases.get(lease_id)
        if lease is None:
            raise LeaseNotFound(f"there is no lease {lease_id}")
        return lease

    async def by_ids(self, lease_ids: Sequence[str]) -> Mapping[str, CapacityLease]:
        """Return those of the leases that there are, by id."""
        return await self._leases.by_ids(lease_ids)

    async def of_units(self, unit_ids: Sequence[str]) -> Mapping[str, CapacityLease]:
        """Return the newest lease of each unit, by unit."""
        return await self._leases.current_of_units(unit_ids)

    async def held_untaken(self, prefix: str, *, limit: int = 200) -> Sequence[CapacityLease]:
        """Return held leases that their workloads have not yet seen, of units named `prefix_…`."""
        return await self._leases.held_untaken(prefix, limit=limit)

    async def take_up(self, lease_id: str) -> CapacityLease:
        """Note that the workload has seen its lease held. Idempotent."""
        lease = await self.get(lease_id)
        assert lease.state is LeaseState.HELD
        lease.taken_up = True
        return lease

    async def release(self, lease_id: str, *, actor: str) -> CapacityLease:
        """Give the capacity back, or stop waiting for it. Idempotent."""
        found = await self._leases.locked([lease_id])
        if not found:
            raise LeaseNotFound(f"there is no lease {lease_id}")
        lease = found[0]
        if lease.state is LeaseState.RELEASED:
            return lease
        now = self._clock.now()
        await self._nodes.take_back(lease.id)
        transition(
            self._session,
            lease,
            "release",
            actor=actor,
            at=now,
            data={"workload_id": lease.workload_id},
        )
        lease.released_at = now
        lease.waiting = None
        return lease

    async def on_down_nodes(self, *, limit: int = 200) -> Sequence[CapacityLease]:
        """Return held leases that have at least one node that is down: their workloads are interrupted."""
        lease_ids = await self._nodes.leases_on_down_nodes(limit=limit)
        found = await self._leases.by_ids(lease_ids)
        return [found[lease_id] for lease_id in lease_ids if lease_id in found]

    # What follows is scheduling's side.

    async def any_waiting(self) -> bool:
        return await self._leases.any_waiting()

    async def queue(self, *, alike_max: int, limit: int) -> Sequence[Queued]:
        """Return waiting leases of all tenants in their order of turn (`LeaseRepository.queue`)."""
        return await self._leases.queue(alike_max=alike_max, limit=limit)

    async def hold(self, grants: Mapping[str, Grant], *, actor: str) -> Sequence[CapacityLease]:
        """Hold what was granted to those leases that still wait; return them. Writes in bulk."""
        now = self._clock.now()
        leases = await self._leases.locked(list(grants), CapacityLease.state == LeaseState.WAITING)
        for lease in leases:
            grant = grants[lease.id]
            lease.site_id = grant.site_id
            lease.driver = grant.driver
            lease.node_ids = [node.id for node in grant.nodes]
            lease.node_names = [node.name for node in grant.nodes]
            lease.held_at = now
            lease.waiting = None
            transition(
                self._session,
                lease,
                "hold",
                actor=actor,
                at=now,
                data={"workload_id": lease.workload_id, "site_id": grant.site_id},
            )
        await self._nodes.give(
            {lease.id: (lease.organization_id, grants[lease.id]) for lease in leases}
        )
        return leases

    async def write_waiting(self, reasons: Mapping[str, JsonObject]) -> None:
        """Write why leases wait, as {code, message, hint}."""
        await self._leases.write_waiting(reasons)


def _wanted(request: LeaseRequest) -> JsonObject:
    kind = request.accelerator_type
    wanted: JsonObject = {
        "cpu_millis": request.cpu_millis,
        "memory_bytes": request.memory_bytes,
        "disk_bytes": request.disk_bytes,
        "accelerator_type": canonical_name(kind) if kind else None,
        "accelerators": request.accelerators,
        "nodes": request.nodes,
        "label": request.label.as_json(),
        "site": request.site,
    }
    text = json.dumps(wanted, sort_keys=True).encode()
    shape = hashlib.blake2s(text, digest_size=16).hexdigest()
    return {**wanted, "shape": shape, "priority": request.priority}
