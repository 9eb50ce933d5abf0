"""Turns a presented secret into a subject: one query by the digest's index, every time.

Nothing is cached, so a revoked key, a removed member and a smaller role count from the next request.
The statement spans three nouns, which is why it stands here and in none of their repositories.
"""

from sqlalchemy import select

from galerne.db.session import Database, Scope
from galerne.iam.api_keys.models import ApiKey
from galerne.iam.key_secrets import PEPPER_BYTES_MIN, digest_of, is_secret
from galerne.iam.members.models import Member
from galerne.iam.organizations.models import Organization
from galerne.iam.roles import role_scopes
from galerne.kit.clock import Clock
from galerne.rest.errors import Unauthenticated
from galerne.rest.subject import Subject

_HOLDER = (
    select(
        ApiKey.id,
        ApiKey.organization_id,
        ApiKey.project_id,
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        Member.role,
        Organization.is_operator,
    )
    .join(Member, Member.id == ApiKey.member_id)
    .join(Organization, Organization.id == ApiKey.organization_id)
)


class KeyAuthenticator:
    """The `rest.subject.Authenticator` of the product."""

    def __init__(self, database: Database, pepper: bytes, clock: Clock) -> None:
        assert len(pepper) >= PEPPER_BYTES_MIN, "a short pepper can be searched for"
        self._database = database
        self._pepper = pepper
        self._clock = clock

    async def authenticate(self, secret: str) -> Subject:
        """Return who presents `secret`; what is unknown, expired or revoked looks all the same."""
        if not is_secret(secret):
            raise _refused()
        statement = _HOLDER.where(ApiKey.digest == digest_of(self._pepper, secret))
        # Whose key it is decides the tenant, so this one look-up comes before there is one.
        async with self._database.read(Scope.system()) as session:
            row = (await session.execute(statement)).one_or_none()
        if row is None or row.revoked_at is not None:
            raise _refused()
        if row.expires_at is not None and row.expires_at <= self._clock.now():
            raise _refused()
        return Subject(
            organization_id=row.organization_id,
            actor=row.id,
            scopes=frozenset(row.scopes) & role_scopes(row.role, is_operator=row.is_operator),
            project_id=row.project_id,
            is_operator=row.is_operator,
        )


def _refused() -> Unauthenticated:
    return Unauthenticated(
        "this API key is not valid", hint="it may be mistyped, expired or revoked; make another"
    )
