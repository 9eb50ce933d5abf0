"""Routes of fleets."""

from typing import Annotated

from fastapi import APIRouter, Depends

from galerne.compute.nodes.fleets.auth import FleetWrite
from galerne.compute.nodes.fleets.schemas import FleetFile, FleetImport
from galerne.compute.nodes.fleets.service import FleetService
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute

router = APIRouter(prefix="/fleets", tags=["fleet"], route_class=TransactionalRoute)


@router.post("")
async def import_fleet(
    body: FleetFile,
    subject: FleetWrite,
    fleets: Annotated[FleetService, Depends(provided(FleetService))],
) -> FleetImport:
    """Import a simulated fleet. Importing the same file again changes nothing."""
    return await fleets.bring_in(body, organization_id=subject.organization_id, actor=subject.actor)
