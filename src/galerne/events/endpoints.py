"""Routes of the log: a tenant's entries, and the signed checkpoint that anybody may fetch."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from galerne.db.session import Scope
from galerne.events.auth import EventsRead
from galerne.events.kinds import describe
from galerne.events.models import LogEntry
from galerne.events.schemas import EventOut
from galerne.events.service import EventService
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import context_of, provided
from galerne.rest.route import TransactionalRoute

ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"
KIND_PATTERN = r"^[a-z_]+\.([a-z_]+|\*)$"

_entries = APIRouter(prefix="/events", tags=["events"], route_class=TransactionalRoute)
# Without a key: the log's promise is worth something only if everybody can watch it.
_public = APIRouter(prefix="/log", tags=["events"])

Events = Annotated[EventService, Depends(provided(EventService))]


@_entries.get("")
async def list_events(
    subject: EventsRead,
    events: Events,
    subject_id: Annotated[
        str | None,
        Query(pattern=ID_PATTERN, description="The job, key, project … that they are about."),
    ] = None,
    kind: Annotated[
        str | None, Query(pattern=KIND_PATTERN, description="As job.running, or job.* for all.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[EventOut]:
    """List what happened, newest first."""
    rows = await events.find(subject, subject_id=subject_id, kind=kind, limit=limit, before=cursor)
    return page([_event_out(row) for row in rows], ids=[row.id for row in rows], limit=limit)


@_public.get(
    "/checkpoint", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
)
async def read_checkpoint(request: Request) -> Response:
    """Return the newest signed checkpoint, a C2SP note. Needs no key."""
    async with context_of(request).database.read(Scope.system()) as session:
        note = (await EventService(session).checkpoint()).note
    return Response(note, media_type="text/plain; charset=utf-8")


router = APIRouter()
router.include_router(_entries)
router.include_router(_public)


def _event_out(row: LogEntry) -> EventOut:
    return EventOut(
        id=row.id,
        at=row.created_at,
        kind=row.kind,
        meaning=describe(row.kind),
        subject_id=row.subject_id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        actor=row.actor,
        data=row.data,
        leaf_index=row.leaf_index,
    )
