"""Statements on the table of members."""

from collections.abc import Sequence
from typing import ClassVar

from galerne.db.repository import Repository
from galerne.iam.members.models import Member
from galerne.iam.roles import Role


class MemberRepository(Repository[Member]):
    """Members of the session's organization."""

    model: ClassVar[type[Member]] = Member

    async def locked_owners(self) -> Sequence[Member]:
        """Return the owners, locked, so that two of them cannot leave at the same time."""
        statement = self._select().where(Member.role == Role.OWNER).order_by(Member.id)
        return (await self.session.scalars(statement.with_for_update())).all()

    async def delete(self, member: Member) -> None:
        """Delete the member; their keys go with them."""
        await self.session.delete(member)
        await self.session.flush()
