"""Statements on blobs and artifacts."""

from collections.abc import Collection, Sequence

from sqlalchemy import select

from galerne.db.repository import Repository
from galerne.registry.artifacts.models import Artifact, Blob

DIGESTS_PER_STATEMENT = 500


class BlobRepository(Repository[Blob]):
    """Which content a tenant has sent."""

    model = Blob

    async def find(self, organization_id: str, sent_for: str, sha256: str) -> Blob | None:
        return await self.session.scalar(
            self._select().where(
                Blob.organization_id == organization_id,
                Blob.sent_for == sent_for,
                Blob.sha256 == sha256,
            )
        )

    async def sizes(
        self, organization_id: str, sent_for: str | None, digests: Collection[str]
    ) -> dict[str, int]:
        """Return size by digest of what was sent; for one project, or by anybody of the tenant."""
        found: dict[str, int] = {}
        wanted = sorted(digests)
        for start in range(0, len(wanted), DIGESTS_PER_STATEMENT):
            statement = select(Blob.sha256, Blob.size_bytes).where(
                Blob.organization_id == organization_id,
                Blob.sha256.in_(wanted[start : start + DIGESTS_PER_STATEMENT]),
            )
            if sent_for is not None:
                statement = statement.where(Blob.sent_for == sent_for)
            found |= {row.sha256: row.size_bytes for row in await self.session.execute(statement)}
        return found


class ArtifactRepository(Repository[Artifact]):
    """Artifacts of a project."""

    model = Artifact

    async def by_source(self, project_id: str, source_id: str) -> Artifact | None:
        return await self.session.scalar(
            self._select().where(Artifact.project_id == project_id, Artifact.source_id == source_id)
        )

    async def all(self) -> Sequence[Artifact]:
        return (await self.session.scalars(self._select())).all()
