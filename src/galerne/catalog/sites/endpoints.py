"""Routes of sites."""

from typing import Annotated

from fastapi import APIRouter, Depends

from galerne.catalog.sites.auth import SitesRead
from galerne.catalog.sites.schemas import SitesOut
from galerne.catalog.sites.service import SiteService
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute

router = APIRouter(prefix="/sites", tags=["fleet"], route_class=TransactionalRoute)


@router.get("")
async def list_sites(
    subject: SitesRead, sites: Annotated[SiteService, Depends(provided(SiteService))]
) -> SitesOut:
    """List all sites by name: where, under whose law, with what certificates and what grid carbon."""
    del subject
    return SitesOut(items=[sites.show(site) for site in await sites.list()])
