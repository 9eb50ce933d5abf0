"""Statements on datasets."""

from collections.abc import Sequence

from sqlalchemy import func, select

from galerne.db.repository import Repository
from galerne.registry.datasets.models import Dataset
from galerne.registry.reference import Reference

NAMES_MAX = 10


class DatasetRepository(Repository[Dataset]):
    """Datasets of a project."""

    model = Dataset

    async def find(self, project_id: str, reference: Reference) -> Dataset | None:
        """Return that version, or the newest."""
        statement = self._select().where(
            Dataset.project_id == project_id, Dataset.name == reference.name
        )
        if reference.version is not None:
            statement = statement.where(Dataset.version == reference.version)
        return await self.session.scalar(statement.order_by(Dataset.version.desc()).limit(1))

    async def by_source(self, project_id: str, source_id: str) -> Dataset | None:
        return await self.session.scalar(
            self._select().where(Dataset.project_id == project_id, Dataset.source_id == source_id)
        )

    async def version_max(self, project_id: str, name: str) -> int:
        newest = await self.session.scalar(
            select(func.max(Dataset.version)).where(
                Dataset.project_id == project_id, Dataset.name == name
            )
        )
        return newest or 0

    async def names(self, project_id: str) -> Sequence[str]:
        """Return a few names, for a hint."""
        statement = (
            select(Dataset.name)
            .where(Dataset.project_id == project_id)
            .group_by(Dataset.name)
            .order_by(Dataset.name)
            .limit(NAMES_MAX)
        )
        return (await self.session.scalars(statement)).all()

    async def list(
        self, *, project_id: str | None, name: str | None, limit: int, before: str | None
    ) -> Sequence[Dataset]:
        conditions = []
        if project_id is not None:
            conditions.append(Dataset.project_id == project_id)
        if name is not None:
            conditions.append(Dataset.name == name)
        return await self.page(*conditions, limit=limit, before=before)
