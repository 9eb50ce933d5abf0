"""Scopes, and which of them a role holds. A key holds a subset of its member's."""

from enum import StrEnum


class Role(StrEnum):
    """What a member is in the organization."""

    OWNER = "owner"  # Everything, also the organization itself and its labels.
    ADMIN = "admin"  # Everything but the organization itself.
    DEVELOPER = "developer"  # Runs work; sees the rest.
    BILLING = "billing"  # Sees what was used and what it costs.
    VIEWER = "viewer"  # Sees everything, runs nothing.


READ_SCOPES = frozenset(
    {
        "organizations:read",
        "projects:read",
        "members:read",
        "keys:read",
        "fleet:read",
        "jobs:read",
        "deployments:read",
        "registry:read",
        "usage:read",
        "prices:read",
        "events:read",
    }
)
_WORK_SCOPES = frozenset({"jobs:write", "deployments:write", "registry:write", "inference"})
_ADMIN_SCOPES = frozenset({"projects:write", "members:write", "keys:write"})
OPERATOR_SCOPES = frozenset({"fleet:write", "prices:write"})
OWNER_SCOPE = "organizations:write"
ALL_SCOPES = READ_SCOPES | _WORK_SCOPES | _ADMIN_SCOPES | OPERATOR_SCOPES | {OWNER_SCOPE}

# A key bound to one project administers nothing beyond it.
PROJECT_KEY_SCOPES = (READ_SCOPES - {"members:read", "keys:read"}) | _WORK_SCOPES

_SCOPES: dict[Role, frozenset[str]] = {
    Role.OWNER: READ_SCOPES | _WORK_SCOPES | _ADMIN_SCOPES | {OWNER_SCOPE},
    Role.ADMIN: READ_SCOPES | _WORK_SCOPES | _ADMIN_SCOPES,
    Role.DEVELOPER: READ_SCOPES | _WORK_SCOPES,
    Role.BILLING: frozenset({"usage:read", "prices:read", "organizations:read", "projects:read"}),
    Role.VIEWER: READ_SCOPES,
}


def role_scopes(role: Role, *, is_operator: bool) -> frozenset[str]:
    """Return what a role holds; owners and admins of the platform's operator run the platform too."""
    scopes = _SCOPES[role]
    if is_operator and role in {Role.OWNER, Role.ADMIN}:
        return scopes | OPERATOR_SCOPES
    return scopes
