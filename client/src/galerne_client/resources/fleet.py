"""Sites, nodes, accelerators, and the import of a whole fleet."""

from collections.abc import Mapping
from typing import Any

from galerne_client.base import parsed_as
from galerne_client.calls import Call, Item, Stream, ask
from galerne_client.models import Accelerators, FleetImport, Node, Site
from galerne_client.models import Sites as AllSites
from galerne_client.resource import ExecutorT, Resource, operation, paged, stream

IMPORT_SECONDS_MAX = 120


class Sites(Resource[ExecutorT]):
    """Places with machines: where they are, who operates them, under which law."""

    @stream
    def list(self) -> Stream[Site]:
        sites = yield from ask(Call(method="GET", path="/sites", parse=parsed_as(AllSites)))
        yield from map(Item, sites.items)


class Nodes(Resource[ExecutorT]):
    """Machines of the fleet."""

    @stream
    def list(self, *, site: str | None = None, rows_max: int | None = None) -> Stream[Node]:
        return paged("/nodes", Node, rows_max=rows_max, site=site)


class Fleets(Resource[ExecutorT]):
    """The fleet as a whole. Importing needs the operator's key."""

    @operation
    def import_(self, fleet: Mapping[str, Any]) -> Call[FleetImport]:
        """Load sites, racks and nodes from a fleet file's content; what is known is updated."""
        return Call(
            method="POST",
            path="/fleets",
            json=fleet,
            parse=parsed_as(FleetImport),
            wait_seconds=IMPORT_SECONDS_MAX,
        )

    @operation
    def accelerators(self) -> Call[Accelerators]:
        """List the types of accelerator that the platform knows."""
        return Call(method="GET", path="/accelerators", parse=parsed_as(Accelerators))
