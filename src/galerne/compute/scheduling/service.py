"""Scheduling's answers before and while a lease waits. The deciding itself is in `placement`."""

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.scheduling.schemas import Preview, Reason
from galerne.kit.clock import Clock


class SchedulingService:
    """Plans and reasons."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def preview(self, request: LeaseRequest) -> Preview:
        """Say where the request would run now, or what stands against it."""
        raise NotImplementedError

    async def require_possible(self, request: LeaseRequest) -> None:
        """Raise `ImpossibleResources`, `LabelAllowsNoSite` or `SiteNotFound` if waiting would not help.

        Cheap: it looks at kinds of nodes, not at nodes, and not at what is free.
        """
        raise NotImplementedError

    async def why(self, lease: CapacityLease) -> Reason:
        """Say what a lease waits for, and what would change that."""
        raise NotImplementedError
