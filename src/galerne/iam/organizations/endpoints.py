"""Routes of organizations."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from galerne.iam.api_keys.endpoints import api_key_out
from galerne.iam.members.endpoints import member_out
from galerne.iam.organizations.auth import OrganizationsRead, OrganizationsWrite
from galerne.iam.organizations.models import Organization
from galerne.iam.organizations.schemas import (
    OrganizationCreate,
    OrganizationCreated,
    OrganizationOut,
)
from galerne.iam.organizations.service import OrganizationService
from galerne.iam.shown_once import ShownOnceRoute, show_once
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided

router = APIRouter(prefix="/organizations", tags=["organizations"], route_class=ShownOnceRoute)

Organizations = Annotated[OrganizationService, Depends(provided(OrganizationService))]


@router.post("", status_code=201)
async def create_organization(
    body: OrganizationCreate,
    subject: OrganizationsWrite,
    organizations: Organizations,
    request: Request,
) -> OrganizationCreated:
    """Create a customer with its first owner and key; for the operator. The secret is shown once."""
    founded = await organizations.create(subject, body)
    show_once(request, founded.secret)
    return OrganizationCreated(
        **organization_out(founded.organization).model_dump(),
        owner=member_out(founded.owner),
        api_key=api_key_out(founded.key),
        secret=None,
    )


@router.get("")
async def list_organizations(
    subject: OrganizationsRead,
    organizations: Organizations,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[OrganizationOut]:
    """List the caller's organization; for the operator, every one."""
    rows = await organizations.page(subject, limit=limit, before=cursor)
    return page([organization_out(row) for row in rows], ids=[row.id for row in rows], limit=limit)


@router.get("/{organization_id}")
async def get_organization(
    organization_id: str, subject: OrganizationsRead, organizations: Organizations
) -> OrganizationOut:
    """Show the caller's organization; for the operator, any."""
    return organization_out(await organizations.get(subject, organization_id))


def organization_out(organization: Organization) -> OrganizationOut:
    return OrganizationOut(
        id=organization.id,
        legal_name=organization.legal_name,
        country=organization.country,
        vat_id=organization.vat_id,
        is_operator=organization.is_operator,
        created_at=organization.created_at,
    )
