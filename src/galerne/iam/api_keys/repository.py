"""Statements on the table of API keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from sqlalchemy import ColumnElement, or_, select

from galerne.db.repository import Repository
from galerne.iam.api_keys.models import ApiKey
from galerne.iam.members.models import Member
from galerne.iam.roles import Role


class ApiKeyRepository(Repository[ApiKey]):
    """Keys of the session's organization; of every one in a system session."""

    model: ClassVar[type[ApiKey]] = ApiKey

    async def usable(self, now: datetime) -> Sequence[tuple[ApiKey, Role]]:
        """Return the keys that are neither revoked nor expired, each with its member's role."""
        statement = (
            select(ApiKey, Member.role)
            .join(Member, Member.id == ApiKey.member_id)
            .where(is_usable(now))
            .order_by(ApiKey.id)
        )
        return [(key, role) for key, role in await self.session.execute(statement)]


def is_usable(now: datetime) -> ColumnElement[bool]:
    """Say under which condition a key opens anything."""
    unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    return ApiKey.revoked_at.is_(None) & unexpired
