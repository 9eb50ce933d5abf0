"""`GET /usage/records`: every record that an amount is made of."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from galerne.iam.projects.service import ProjectService
from galerne.metering.usage.auth import UsageRead
from galerne.metering.usage.repository import UsageFilter
from galerne.metering.usage.schemas import UsageRecordOut
from galerne.metering.usage.service import UsageService
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute
from galerne.rest.times import UtcTime

router = APIRouter(prefix="/usage", tags=["usage"], route_class=TransactionalRoute)

Text = Annotated[str | None, Query(max_length=200)]
Time = Annotated[UtcTime | None, Query(description="RFC 3339, by the end of the window.")]


@router.get("/records")
async def list_usage_records(
    *,
    subject: UsageRead,
    usage: Annotated[UsageService, Depends(provided(UsageService))],
    projects: Annotated[ProjectService, Depends(provided(ProjectService))],
    project: Text = None,
    workload_id: Text = None,
    meter: Text = None,
    model: Text = None,
    since: Time = None,
    until: Time = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[UsageRecordOut]:
    """List usage records, newest first; `until` itself is not included."""
    chosen = await projects.resolve(subject, project) if project is not None else None
    wanted = UsageFilter(
        project_id=chosen.id if chosen else None,
        workload_id=workload_id,
        meter=meter,
        model=model,
        since=since,
        until=until,
    )
    rows = await usage.page(wanted, limit=limit, before=cursor)
    items = [UsageRecordOut.model_validate(row, from_attributes=True) for row in rows]
    return page(items, ids=[row.id for row in rows], limit=limit)
