"""Statements on the table of organizations."""

from typing import ClassVar

from galerne.db.repository import Repository
from galerne.iam.organizations.models import Organization


class OrganizationRepository(Repository[Organization]):
    """The session's own organization; all of them in a system session."""

    model: ClassVar[type[Organization]] = Organization

    async def operator(self) -> Organization | None:
        return await self.session.scalar(self._select().where(Organization.is_operator))
