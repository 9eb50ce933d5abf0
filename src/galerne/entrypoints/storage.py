"""What the storage meter counts: the registry's artifacts, each under its project's label."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.iam.projects.service import ProjectService
from galerne.kit.clock import Clock
from galerne.metering.storage import Stored
from galerne.registry.artifacts.service import ArtifactService


class ArtifactSizes:
    """Implements `metering.storage.StorageSizes`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def stored(self, session: AsyncSession) -> Sequence[Stored]:
        projects = await ProjectService(session, self._clock).all_projects()
        labels = {project.id: project.label for project in projects}
        return [
            Stored(
                artifact_id=artifact.id,
                organization_id=artifact.organization_id,
                project_id=artifact.project_id,
                size_bytes=artifact.size_bytes,
                since=artifact.created_at,
                label=labels.get(artifact.project_id, {}),
            )
            for artifact in await ArtifactService(session, self._clock).every()
        ]
