"""Routes of nodes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from galerne.catalog.sites.service import SiteService
from galerne.compute.nodes.auth import NodesRead
from galerne.compute.nodes.schemas import Capacity, NodeOut, node_out
from galerne.compute.nodes.service import NodeService
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute

router = APIRouter(prefix="/nodes", tags=["fleet"], route_class=TransactionalRoute)


@router.get("")
async def list_nodes(
    subject: NodesRead,
    nodes: Annotated[NodeService, Depends(provided(NodeService))],
    sites: Annotated[SiteService, Depends(provided(SiteService))],
    site: Annotated[str | None, Query(max_length=63, description="Name of a site.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[NodeOut]:
    """List nodes, newest first: what each has, what is used of it, and which isolation it offers."""
    site_id = (await sites.by_name(site)).id if site is not None else None
    found = await nodes.page(site_id=site_id, limit=limit, before=cursor)
    tenant_id = None if subject.is_operator else subject.organization_id
    used = await nodes.used([node.id for node in found], tenant_id=tenant_id)
    by_id = {row.id: row for row in await sites.list()}
    items = [
        node_out(
            node,
            by_id[node.site_id],
            used=Capacity.model_validate(used[node.id], from_attributes=True),
            is_operator=subject.is_operator,
        )
        for node in found
    ]
    return page(items, ids=[node.id for node in found], limit=limit)
