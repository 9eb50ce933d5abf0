"""Every statement on `nodes` and `node_holdings`. Bulk where it is by the thousand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, cast, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from galerne.compute.nodes.models import Holding, Node
from galerne.compute.nodes.rows import KindRow, NodeRow, Used
from galerne.compute.nodes.states import NodeState
from galerne.db.repository import Repository
from galerne.db.types import JsonObject

_IDS_MAX = 500  # In one IN list.


_ROW_COLUMNS = tuple(getattr(Node, name) for name in NodeRow._fields)
_KIND_COLUMNS = tuple(getattr(Node, name) for name in KindRow._fields[:-1])
# What a driver can find out about a node by itself.
FOUND = (
    "architecture",
    "cpu_model",
    "cpu_millis",
    "memory_bytes",
    "disk_bytes",
    "accelerator_type",
    "accelerators",
    "isolation",
    "energy_meters",
)
POWER = ("idle_watts", "cpu_watts", "accelerator_watts")
# What a fleet file states of a node.
STATED = (*FOUND, *POWER, "rack", "nvlink_domain", "operator_id")


class NodeRepository(Repository[Node]):
    """Statements on nodes and holdings."""

    model = Node

    async def rows(self) -> Sequence[NodeRow]:
        """Return all nodes, as scheduling reads them."""
        return [NodeRow._make(row) for row in await self.session.execute(select(*_ROW_COLUMNS))]

    async def kinds(self) -> Sequence[KindRow]:
        """Return the kinds of node that stay in the fleet, and how many there are of each."""
        statement = (
            select(*_KIND_COLUMNS, func.count())
            .where(Node.drain_wanted.is_(False))
            .group_by(*_KIND_COLUMNS)
        )
        return [KindRow._make(row) for row in await self.session.execute(statement)]

    async def used(
        self, node_ids: Sequence[str] | None = None, *, tenant_id: str | None = None
    ) -> Mapping[str, Used]:
        """Sum what is held of each node that has anything held; by one tenant, or by all."""
        statement = select(
            Holding.node_id,
            *(
                # PostgreSQL sums 64-bit integers to a decimal.
                cast(func.sum(getattr(Holding, name)), BigInteger)
                for name in Used._fields
            ),
        ).group_by(Holding.node_id)
        if node_ids is not None:
            statement = statement.where(Holding.node_id.in_(node_ids))
        if tenant_id is not None:
            statement = statement.where(Holding.tenant_id == tenant_id)
        rows = await self.session.execute(statement)
        return {node_id: Used(*sums) for node_id, *sums in rows}

    async def stated(self, site_id: str, driver: str) -> Mapping[str, Any]:
        """Return id, state and stated columns of a pool's nodes, by name."""
        columns = (getattr(Node, name) for name in STATED)
        statement = select(Node.name, Node.id, Node.state, Node.drain_wanted, *columns).where(
            Node.site_id == site_id, Node.driver == driver
        )
        return {row.name: row for row in await self.session.execute(statement)}

    async def insert_new(self, rows: Sequence[JsonObject]) -> None:
        """Insert nodes; one that another worker has reported just now stays as it is."""
        if rows:
            dialect = self.session.get_bind().dialect.name
            make = postgresql.insert if dialect == "postgresql" else sqlite.insert
            await self.session.execute(make(Node).on_conflict_do_nothing(), list(rows))

    async def update_stated(self, rows: Sequence[JsonObject]) -> None:
        """Update nodes by their `id`; every row has the same keys."""
        if rows:
            await self.session.execute(update(Node), list(rows))

    async def mark_seen(
        self, site_id: str, driver: str, names: Sequence[str], *, at: datetime
    ) -> None:
        for start in range(0, len(names), _IDS_MAX):
            await self.session.execute(
                update(Node)
                .where(
                    Node.site_id == site_id,
                    Node.driver == driver,
                    Node.name.in_(names[start : start + _IDS_MAX]),
                )
                .values(seen_at=at)
                .execution_options(synchronize_session=False)
            )

    async def locked(self, node_ids: Sequence[str]) -> Sequence[Node]:
        found: list[Node] = []
        for start in range(0, len(node_ids), _IDS_MAX):
            statement = (
                select(Node)
                .where(Node.id.in_(node_ids[start : start + _IDS_MAX]))
                .order_by(Node.id)
                .with_for_update()
                .execution_options(populate_existing=True)
            )
            found += await self.session.scalars(statement)
        return found

    async def unseen(self, driver: str, *, before: datetime) -> Sequence[Node]:
        statement = (
            select(Node)
            .where(Node.driver == driver, Node.seen_at < before, Node.state != NodeState.DOWN)
            .order_by(Node.id)
            .with_for_update()
        )
        return (await self.session.scalars(statement)).all()

    async def not_open(self) -> frozenset[str]:
        """Return the ids of nodes that take no new work."""
        statement = select(Node.id).where(
            (Node.state != NodeState.READY) | Node.drain_wanted.is_(True)
        )
        return frozenset(await self.session.scalars(statement))

    async def insert_holdings(self, rows: Sequence[JsonObject]) -> None:
        if rows:
            await self.session.execute(insert(Holding), list(rows))

    async def delete_holdings(self, lease_id: str) -> None:
        await self.session.execute(delete(Holding).where(Holding.lease_id == lease_id))

    async def leases_on_down_nodes(self, *, limit: int) -> Sequence[str]:
        statement = (
            select(Holding.lease_id)
            .join(Node, Node.id == Holding.node_id)
            .where(Node.state == NodeState.DOWN)
            .distinct()
            .order_by(Holding.lease_id)
            .limit(limit)
        )
        return (await self.session.scalars(statement)).all()
