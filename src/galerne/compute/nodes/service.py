"""What can be done with nodes."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.catalog.sites.models import Site
from galerne.compute.nodes.models import Node
from galerne.compute.nodes.schemas import Grant
from galerne.drivers.base import NodeReport
from galerne.kit.clock import Clock


class NodeService:
    """The verbs of nodes."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def report(
        self, site: Site, driver: str, reports: Sequence[NodeReport]
    ) -> Sequence[Node]:
        """Write down what a driver found at a site. Creates, updates, brings nodes back; idempotent."""
        raise NotImplementedError

    async def lose_unseen(self, driver: str, *, seen_before_seconds: float) -> Sequence[Node]:
        """Mark the driver's nodes that no report has named for that long as down; return them."""
        raise NotImplementedError

    async def give(self, grants: Mapping[str, tuple[str, Grant]]) -> None:
        """Write what leases hold: lease id to (organization, grant)."""
        raise NotImplementedError

    async def take_back(self, lease_id: str) -> None:
        """Remove what a lease holds. Idempotent."""
        raise NotImplementedError

    async def leases_on_down_nodes(self, *, limit: int) -> Sequence[str]:
        """Return the ids of leases that hold a part of a node that is down."""
        raise NotImplementedError
