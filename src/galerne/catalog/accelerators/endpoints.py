"""Routes of accelerator types."""

from fastapi import APIRouter

from galerne.catalog.accelerators.auth import AcceleratorsRead
from galerne.catalog.accelerators.schemas import AcceleratorsOut, accelerator_out
from galerne.catalog.accelerators.service import accelerator_types, as_of
from galerne.rest.route import TransactionalRoute

router = APIRouter(prefix="/accelerators", tags=["fleet"], route_class=TransactionalRoute)


@router.get("")
async def list_accelerators(subject: AcceleratorsRead) -> AcceleratorsOut:
    """List the accelerator types that are known by name, with the source of each figure."""
    del subject
    return AcceleratorsOut(
        items=[accelerator_out(accelerator) for accelerator in accelerator_types().values()],
        as_of=as_of(),
    )
