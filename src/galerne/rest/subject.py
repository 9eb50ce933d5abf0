"""Who is asking. Built by `iam.authenticate`, read by every noun's `auth.py` and service."""

from dataclasses import dataclass
from typing import Protocol

from galerne.db.session import Scope
from galerne.rest.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Subject:
    """An authenticated caller: a key of an organization's member, or of the operator of the platform."""

    organization_id: str
    actor: str  # For the record: the API key's id.
    scopes: frozenset[str]  # As "jobs:write"; what the role allows and the key keeps.
    project_id: str | None = None  # Set where the key is bound to one project.
    is_operator: bool = False  # The platform's own operator: sees fleets, creates organizations.

    @property
    def scope(self) -> Scope:
        """The rows that this subject's session may touch."""
        return Scope(self.organization_id, self.project_id)

    def require(self, scope: str) -> None:
        """Raise `Forbidden` unless the subject holds `scope`."""
        if scope not in self.scopes:
            raise Forbidden(
                f"this key may not do that: it lacks the scope {scope}",
                code="scope_missing",
                hint=f"use a key with the scope {scope}, or ask an admin of the organization for one",
            )


class Authenticator(Protocol):
    """Turns a presented secret into a subject; supplied to the API by the wiring."""

    async def authenticate(self, secret: str) -> Subject:
        """Return the subject. Raises `Unauthenticated` for unknown, expired and revoked secrets alike."""
        ...
