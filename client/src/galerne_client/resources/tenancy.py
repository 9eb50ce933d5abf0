"""Organizations, projects, members and API keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from galerne_client.base import parsed_as, parsed_as_nothing
from galerne_client.calls import Call, Stream
from galerne_client.models import (
    ApiKey,
    ApiKeyCreated,
    Member,
    Organization,
    OrganizationCreated,
    Project,
)
from galerne_client.resource import ExecutorT, Resource, operation, paged, stream


def _given(**fields: Any) -> dict[str, Any]:
    """Keep what the caller said; what is left out is the platform's to choose."""
    return {name: value for name, value in fields.items() if value is not None}


class Organizations(Resource[ExecutorT]):
    """Legal entities that rent from the platform. Creating one needs the operator's key."""

    @stream
    def list(self) -> Stream[Organization]:
        return paged("/organizations", Organization)

    @operation
    def get(self, organization_id: str) -> Call[Organization]:
        return Call(
            method="GET", path=f"/organizations/{organization_id}", parse=parsed_as(Organization)
        )

    @operation
    def create(
        self,
        *,
        legal_name: str,
        country: str,
        owner_email: str,
        owner_name: str,
        vat_id: str | None = None,
    ) -> Call[OrganizationCreated]:
        """Create an organization with its owner. The answer shows the owner's first key, once."""
        body = _given(
            legal_name=legal_name,
            country=country,
            vat_id=vat_id,
            owner={"email": owner_email, "name": owner_name},
        )
        return Call(
            method="POST", path="/organizations", json=body, parse=parsed_as(OrganizationCreated)
        )


class Projects(Resource[ExecutorT]):
    """Parts of an organization, each with a residency label."""

    @stream
    def list(self) -> Stream[Project]:
        return paged("/projects", Project)

    @operation
    def get(self, project_id: str) -> Call[Project]:
        return Call(method="GET", path=f"/projects/{project_id}", parse=parsed_as(Project))

    @operation
    def create(self, name: str, *, label: Mapping[str, Any]) -> Call[Project]:
        return Call(
            method="POST",
            path="/projects",
            json={"name": name, "label": dict(label)},
            parse=parsed_as(Project),
        )

    @operation
    def update(
        self, project_id: str, *, name: str | None = None, label: Mapping[str, Any] | None = None
    ) -> Call[Project]:
        return Call(
            method="PATCH",
            path=f"/projects/{project_id}",
            json=_given(name=name, label=label),
            parse=parsed_as(Project),
        )


class Members(Resource[ExecutorT]):
    """People of the organization and their roles."""

    @stream
    def list(self) -> Stream[Member]:
        return paged("/members", Member)

    @operation
    def create(self, *, email: str, name: str, role: str) -> Call[Member]:
        return Call(
            method="POST",
            path="/members",
            json={"email": email, "name": name, "role": role},
            parse=parsed_as(Member),
        )

    @operation
    def update(
        self, member_id: str, *, role: str | None = None, name: str | None = None
    ) -> Call[Member]:
        return Call(
            method="PATCH",
            path=f"/members/{member_id}",
            json=_given(role=role, name=name),
            parse=parsed_as(Member),
        )

    @operation
    def remove(self, member_id: str) -> Call[None]:
        return Call(method="DELETE", path=f"/members/{member_id}", parse=parsed_as_nothing)


class ApiKeys(Resource[ExecutorT]):
    """Secrets that act for a member. A secret is shown once, when its key is created."""

    @stream
    def list(self) -> Stream[ApiKey]:
        return paged("/api-keys", ApiKey)

    @operation
    def create(
        self,
        name: str,
        *,
        member_id: str | None = None,
        project: str | None = None,
        scopes: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> Call[ApiKeyCreated]:
        body = _given(
            name=name,
            member_id=member_id,
            project=project,
            scopes=scopes,
            models=models,
            expires_at=expires_at.isoformat() if expires_at else None,
        )
        return Call(method="POST", path="/api-keys", json=body, parse=parsed_as(ApiKeyCreated))

    @operation
    def revoke(self, key_id: str) -> Call[None]:
        return Call(method="DELETE", path=f"/api-keys/{key_id}", parse=parsed_as_nothing)
