"""Finds the log of a deployment: one replica's, the newest if none is named."""

from collections.abc import Mapping

from galerne.compute.logs import read_log
from galerne.db.session import Database
from galerne.drivers.base import Driver, LogChunk
from galerne.inference.deployments.errors import DeploymentNotFound
from galerne.inference.deployments.models import Replica
from galerne.inference.deployments.repository import DeploymentRepository
from galerne.kit.clock import Clock
from galerne.rest.subject import Subject


class DeploymentLogs:
    """Reads logs without holding a session while it waits."""

    def __init__(self, database: Database, drivers: Mapping[str, Driver], clock: Clock) -> None:
        self._database = database
        self._drivers = drivers
        self._clock = clock

    async def read(
        self,
        subject: Subject,
        deployment_id: str,
        *,
        replica_id: str | None,
        offset: int,
        wait_seconds: float,
    ) -> LogChunk:
        """Return output from `offset` of one replica."""
        replica = await self._replica(subject, deployment_id, replica_id)
        if replica is None or replica.driver is None:
            return LogChunk(b"", next_offset=offset, complete=False)
        return await read_log(
            self._drivers[replica.driver],
            replica.id,
            offset=offset,
            wait_seconds=wait_seconds,
            clock=self._clock,
        )

    async def _replica(
        self, subject: Subject, deployment_id: str, replica_id: str | None
    ) -> Replica | None:
        async with self._database.read(subject.scope) as session:
            deployments = DeploymentRepository(session)
            if await deployments.get(deployment_id) is None:
                raise DeploymentNotFound(
                    f"there is no deployment {deployment_id}", hint="`galerne ps -a` lists yours"
                )
            if replica_id is not None:
                found = await deployments.replica(deployment_id, replica_id)
                if found is None:
                    raise DeploymentNotFound(
                        f"it has no replica {replica_id}", hint="`galerne describe`"
                    )
                return found
            newest = await deployments.replicas(deployment_id)
            return newest[0] if newest else None
