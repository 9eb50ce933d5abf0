"""Statements on registered and public models."""

from collections.abc import Sequence

from sqlalchemy import func, select

from galerne.db.repository import Repository
from galerne.registry.models.models import PublicModel, RegisteredModel
from galerne.registry.reference import Reference

NAMES_MAX = 10


class RegisteredModelRepository(Repository[RegisteredModel]):
    """Models of a project."""

    model = RegisteredModel

    async def find(self, project_id: str, reference: Reference) -> RegisteredModel | None:
        """Return that version, or the newest."""
        statement = self._select().where(
            RegisteredModel.project_id == project_id, RegisteredModel.name == reference.name
        )
        if reference.version is not None:
            statement = statement.where(RegisteredModel.version == reference.version)
        return await self.session.scalar(
            statement.order_by(RegisteredModel.version.desc()).limit(1)
        )

    async def by_source(self, project_id: str, source_id: str) -> RegisteredModel | None:
        return await self.session.scalar(
            self._select().where(
                RegisteredModel.project_id == project_id, RegisteredModel.source_id == source_id
            )
        )

    async def version_max(self, project_id: str, name: str) -> int:
        newest = await self.session.scalar(
            select(func.max(RegisteredModel.version)).where(
                RegisteredModel.project_id == project_id, RegisteredModel.name == name
            )
        )
        return newest or 0

    async def names(self, project_id: str) -> Sequence[str]:
        """Return a few names, for a hint."""
        statement = (
            select(RegisteredModel.name)
            .where(RegisteredModel.project_id == project_id)
            .group_by(RegisteredModel.name)
            .order_by(RegisteredModel.name)
            .limit(NAMES_MAX)
        )
        return (await self.session.scalars(statement)).all()

    async def list(
        self, *, project_id: str | None, name: str | None, limit: int, before: str | None
    ) -> Sequence[RegisteredModel]:
        conditions = []
        if project_id is not None:
            conditions.append(RegisteredModel.project_id == project_id)
        if name is not None:
            conditions.append(RegisteredModel.name == name)
        return await self.page(*conditions, limit=limit, before=before)


class PublicModelRepository(Repository[PublicModel]):
    """The operator's catalogue."""

    model = PublicModel

    async def find(self, reference: Reference) -> PublicModel | None:
        """Return that version, or the newest."""
        statement = self._select().where(PublicModel.name == reference.name)
        if reference.version is not None:
            statement = statement.where(PublicModel.version == reference.version)
        return await self.session.scalar(statement.order_by(PublicModel.version.desc()).limit(1))

    async def names(self) -> Sequence[str]:
        statement = (
            select(PublicModel.name)
            .group_by(PublicModel.name)
            .order_by(PublicModel.name)
            .limit(NAMES_MAX)
        )
        return (await self.session.scalars(statement)).all()

    async def list(
        self, *, name: str | None, limit: int, before: str | None
    ) -> Sequence[PublicModel]:
        conditions = [] if name is None else [PublicModel.name == name]
        return await self.page(*conditions, limit=limit, before=before)
