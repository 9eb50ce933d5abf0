"""Statements on the table of projects."""

from collections.abc import Sequence
from typing import ClassVar

from galerne.db.repository import Repository
from galerne.iam.projects.models import Project


class ProjectRepository(Repository[Project]):
    """Projects of the session's organization."""

    model: ClassVar[type[Project]] = Project

    async def by_name(self, name: str) -> Project | None:
        return await self.session.scalar(self._select().where(Project.name == name))

    async def first(self, count: int) -> Sequence[Project]:
        """Return up to `count` projects, oldest first."""
        return (await self.session.scalars(self._select().order_by(Project.id).limit(count))).all()

    async def all(self) -> Sequence[Project]:
        return (await self.session.scalars(self._select())).all()
