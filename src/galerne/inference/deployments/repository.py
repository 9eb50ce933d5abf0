"""Every statement on deployments and replicas."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from galerne.db.repository import Repository
from galerne.inference.deployments.models import Deployment, Replica
from galerne.inference.deployments.states import DEPLOYMENT_TERMINAL, ReplicaState

REPLICAS_SHOWN_MAX = 50


@dataclass(frozen=True, slots=True)
class Endings:
    """How the replicas of a deployment have ended since one of them was last ready."""

    count: int
    latest: datetime | None


class DeploymentRepository(Repository[Deployment]):
    """Statements on `deployments` and `replicas`."""

    model = Deployment

    async def by_ids(self, deployment_ids: Collection[str]) -> Mapping[str, Deployment]:
        found = await self.session.scalars(
            select(Deployment).where(Deployment.id.in_(deployment_ids))
        )
        return {deployment.id: deployment for deployment in found}

    async def live_by_name(self, project_id: str, name: str) -> Deployment | None:
        return await self.session.scalar(
            select(Deployment).where(
                Deployment.project_id == project_id,
                Deployment.name == name,
                Deployment.state.not_in(DEPLOYMENT_TERMINAL),
            )
        )

    async def replicas(self, deployment_id: str) -> Sequence[Replica]:
        statement = (
            select(Replica)
            .where(Replica.deployment_id == deployment_id)
            .order_by(Replica.id.desc())
            .limit(REPLICAS_SHOWN_MAX)
        )
        return (await self.session.scalars(statement)).all()

    async def replica(self, deployment_id: str, replica_id: str) -> Replica | None:
        return await self.session.scalar(
            select(Replica).where(Replica.id == replica_id, Replica.deployment_id == deployment_id)
        )

    async def live_replicas(self, deployment_ids: Sequence[str]) -> Mapping[str, list[Replica]]:
        """Return the replicas that have not ended, oldest first, by deployment."""
        found: dict[str, list[Replica]] = {deployment_id: [] for deployment_id in deployment_ids}
        statement = (
            select(Replica)
            .where(Replica.deployment_id.in_(deployment_ids), Replica.state != ReplicaState.ENDED)
            .order_by(Replica.id)
        )
        for replica in await self.session.scalars(statement):
            found[replica.deployment_id].append(replica)
        return found

    async def failed_endings(self, deployment_id: str) -> Endings:
        """Count the unwanted endings since the last replica that was ready began."""
        last_ready = await self.session.scalar(
            select(func.max(Replica.ready_at)).where(Replica.deployment_id == deployment_id)
        )
        statement = select(func.count(), func.max(Replica.ended_at)).where(
            Replica.deployment_id == deployment_id,
            Replica.state == ReplicaState.ENDED,
            Replica.wanted == "run",
        )
        if last_ready is not None:
            statement = statement.where(Replica.ended_at > last_ready)
        count, latest = (await self.session.execute(statement)).one()
        return Endings(count, latest)

    async def ports_taken(self) -> frozenset[int]:
        ports = await self.session.scalars(
            select(Replica.port).where(
                Replica.state != ReplicaState.ENDED, Replica.port.is_not(None)
            )
        )
        return frozenset(port for port in ports if port is not None)

    async def served(self) -> Sequence[tuple[Deployment, Replica | None]]:
        """Return live deployments with each of their ready replicas: what the gateway routes to."""
        statement = (
            select(Deployment, Replica)
            .outerjoin(
                Replica,
                (Replica.deployment_id == Deployment.id) & (Replica.state == ReplicaState.READY),
            )
            .where(Deployment.state.not_in(DEPLOYMENT_TERMINAL), Deployment.wanted == "run")
            .order_by(Deployment.id, Replica.id)
        )
        rows = await self.session.execute(statement)
        return [(deployment, replica) for deployment, replica in rows]
