"""The one way into the log."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.types import JsonObject
from galerne.events.leaves import leaf_bytes
from galerne.events.models import LogEntry
from galerne.kit.ids import new_id


def emit(
    session: AsyncSession,
    kind: str,
    *,
    subject_id: str,
    organization_id: str,
    project_id: str | None,
    actor: str,
    data: JsonObject,
    at: datetime,
) -> LogEntry:
    """Add an entry to the caller's transaction. `data` holds no floats and no personal content.

    Raises `UnfitForLogError` for data without a canonical form, which the tree could never take up.
    """
    entry = LogEntry(
        id=new_id(LogEntry.id_prefix),
        created_at=at,
        organization_id=organization_id,
        project_id=project_id,
        subject_id=subject_id,
        kind=kind,
        actor=actor,
        data=data,
    )
    leaf_bytes(entry)
    session.add(entry)
    return entry
