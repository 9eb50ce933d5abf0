"""What can be done with nodes: report them, lose them, list them, and write what leases hold."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.catalog.accelerators.service import canonical_name
from galerne.catalog.power import DEFAULT
from galerne.catalog.sites.models import Site
from galerne.compute.nodes.models import Node
from galerne.compute.nodes.repository import FOUND, POWER, STATED, NodeRepository
from galerne.compute.nodes.rows import NOTHING, KindRow, NodeRow, Used
from galerne.compute.nodes.schemas import Grant, NodeChanges, NodeFacts
from galerne.compute.nodes.states import NodeState
from galerne.db.types import JsonObject
from galerne.drivers.base import NodeReport
from galerne.events.transition import transition
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id

_FACTS = tuple(field.name for field in fields(NodeFacts))


class NodeService:
    """The verbs of nodes."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._nodes = NodeRepository(session)
        self._clock = clock

    async def page(self, *, site_id: str | None, limit: int, before: str | None) -> Sequence[Node]:
        """Return at most `limit` nodes, of one site or all, older than the id `before`."""
        conditions = () if site_id is None else (Node.site_id == site_id,)
        return await self._nodes.page(*conditions, limit=limit, before=before)

    async def used(self, node_ids: Sequence[str], *, tenant_id: str | None) -> Mapping[str, Used]:
        """Return what is held of each node, by one tenant or (None) by all."""
        used = await self._nodes.used(node_ids, tenant_id=tenant_id)
        return {node_id: used.get(node_id, NOTHING) for node_id in node_ids}

    async def report(
        self, site: Site, driver: str, reports: Sequence[NodeReport], *, actor: str = "worker"
    ) -> NodeChanges:
        """Write down what a driver found at a site. Creates, updates, brings back; idempotent.

        A node that is not among the reports stays: the driver may have found only a part, and
        `lose_unseen` tells after a while which are gone.
        """
        return await self.ensure(
            site, driver, [_facts(report) for report in reports], actor=actor, is_whole=False
        )

    async def ensure(
        self,
        site: Site,
        driver: str,
        stated: Sequence[NodeFacts],
        *,
        actor: str,
        is_whole: bool,
    ) -> NodeChanges:
        """Bring a pool to its stated nodes, in bulk.

        Where the statement is the whole truth, as a fleet file's, nodes it does not name are drained.
        Where it is what a driver could find, it leaves alone what drivers do not know, as the rack.
        """
        compared, written = (STATED, STATED) if is_whole else (FOUND, (*FOUND, *POWER))
        known = await self._nodes.stated(site.id, driver)
        changes = NodeChanges()
        new: list[JsonObject] = []
        changed: list[JsonObject] = []
        for facts in stated:
            columns = _columns(facts, site)
            row = known.get(facts.name)
            if row is None:
                new.append(self._new_row(columns, site, driver))
                changes.created.append(facts.name)
            elif any(getattr(row, name) != columns[name] for name in compared):
                changed.append({"id": row.id, **{name: columns[name] for name in written}})
                changes.changed.append(facts.name)
            else:
                changes.unchanged.append(facts.name)
        await self._nodes.insert_new(new)
        await self._nodes.update_stated(changed)
        names = [facts.name for facts in stated if facts.name in known]
        await self._nodes.mark_seen(site.id, driver, names, at=self._clock.now())
        await self._bring_back([known[name].id for name in names if _is_away(known[name])], actor)
        if is_whole:
            await self._drain(known, {facts.name for facts in stated}, changes, actor)
        return changes

    def _new_row(self, columns: JsonObject, site: Site, driver: str) -> JsonObject:
        now = self._clock.now()
        return {
            **columns,
            "id": new_id(Node.id_prefix),
            "created_at": now,
            "site_id": site.id,
            "driver": driver,
            "state": NodeState.READY,
            "drain_wanted": False,
            "seen_at": now,
        }

    async def _bring_back(self, node_ids: Sequence[str], actor: str) -> None:
        for node in await self._nodes.locked(node_ids):
            node.drain_wanted = False
            verb = {NodeState.DOWN: "return", NodeState.DRAINING: "resume"}.get(node.state)
            if verb is not None:
                self._move(node, verb, actor)

    async def _drain(
        self, known: Mapping[str, NodeRow], stated: set[str], changes: NodeChanges, actor: str
    ) -> None:
        gone = [row.id for name, row in known.items() if name not in stated]
        for node in await self._nodes.locked(gone):
            if not node.drain_wanted:
                changes.drained.append(node.name)
                node.drain_wanted = True
            if node.state is NodeState.READY:
                self._move(node, "drain", actor)

    async def lose_unseen(
        self, driver: str, *, unseen_seconds: float, actor: str = "worker"
    ) -> Sequence[Node]:
        """Mark the driver's nodes that no report has named for that long as down; return them."""
        before = self._clock.now() - timedelta(seconds=unseen_seconds)
        lost = await self._nodes.unseen(driver, before=before)
        for node in lost:
            self._move(node, "lose", actor)
        return lost

    def _move(self, node: Node, verb: str, actor: str) -> None:
        transition(
            self._session,
            node,
            verb,
            actor=actor,
            at=self._clock.now(),
            data={"name": node.name, "site_id": node.site_id},
        )

    # What follows is for leases and scheduling.

    async def rows(self) -> Sequence[NodeRow]:
        """Return all nodes as plain rows."""
        return await self._nodes.rows()

    async def kinds(self) -> Sequence[KindRow]:
        """Return the kinds of nodes that stay in the fleet, with their numbers."""
        return await self._nodes.kinds()

    async def used_by_node(self) -> Mapping[str, Used]:
        """Return what is held of each node that has anything held."""
        return await self._nodes.used()

    async def not_open(self) -> frozenset[str]:
        """Return the ids of nodes that take no new work."""
        return await self._nodes.not_open()

    async def give(self, grants: Mapping[str, tuple[str, Grant]]) -> None:
        """Write what leases hold: lease id to (organization, grant), in one statement."""
        await self._nodes.insert_holdings(
            [
                {
                    "lease_id": lease_id,
                    "node_id": node.id,
                    "tenant_id": organization_id,
                    "cpu_millis": grant.cpu_millis,
                    "memory_bytes": grant.memory_bytes,
                    "disk_bytes": grant.disk_bytes,
                    "accelerators": grant.accelerators,
                    "power_milliwatts": node.power_milliwatts,
                }
                for lease_id, (organization_id, grant) in grants.items()
                for node in grant.nodes
            ]
        )

    async def take_back(self, lease_id: str) -> None:
        """Remove what a lease holds. Idempotent."""
        await self._nodes.delete_holdings(lease_id)

    async def leases_on_down_nodes(self, *, limit: int) -> Sequence[str]:
        """Return the ids of leases that hold a part of a node that is down."""
        return await self._nodes.leases_on_down_nodes(limit=limit)


def _is_away(row: NodeRow) -> bool:
    return row.state is not NodeState.READY or row.drain_wanted


def _facts(report: NodeReport) -> NodeFacts:
    """Read a driver's report. Of several accelerator types the most numerous is placed upon."""
    most = max(report.accelerators, key=lambda found: found.count, default=None)
    kind = canonical_name(most.type) if most else None
    count = most.count if most else 0
    return NodeFacts(
        name=report.name,
        cpu_millis=report.cpu_millis,
        memory_bytes=report.memory_bytes,
        disk_bytes=report.disk_bytes,
        accelerator_type=kind,
        accelerators=count,
        architecture=report.architecture,
        cpu_model=report.cpu_model,
        isolation=report.isolation,
        energy_meters=report.energy_meters,
        idle_watts=DEFAULT.node_idle_watts(
            cpu_millis=report.cpu_millis,
            memory_bytes=report.memory_bytes,
            accelerators=count,
            rated_watts=DEFAULT.accelerator_rated_watts(kind),
        ),
        cpu_watts=DEFAULT.node_cpu_watts(report.cpu_millis),
        accelerator_watts=DEFAULT.accelerator_added_watts(kind) if count else 0,
    )


def _columns(facts: NodeFacts, site: Site) -> JsonObject:
    # Not `asdict`: it copies deeply, which costs more than the statements do.
    columns = {name: getattr(facts, name) for name in _FACTS}
    columns["isolation"] = list(facts.isolation)
    columns["energy_meters"] = list(facts.energy_meters)
    columns["operator_id"] = site.operator_id
    return columns
