"""Reading the log: by tenants, by proofs, and by anybody who watches that it only grows."""

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.events.errors import NoCheckpoint
from galerne.events.merkle import NodeId
from galerne.events.models import Checkpoint, LogEntry
from galerne.events.repository import LogRepository
from galerne.rest.subject import Subject


class EventService:
    """Entries and checkpoints. A key that is bound to a project reads that project's entries only."""

    def __init__(self, session: AsyncSession) -> None:
        self._log = LogRepository(session)

    async def find(
        self,
        subject: Subject,
        *,
        subject_id: str | None = None,
        kind: str | None = None,
        limit: int,
        before: str | None = None,
    ) -> Sequence[LogEntry]:
        """Return entries, the newest first. A kind that ends in `.*` stands for all of its noun's."""
        return await self._log.find(
            project_id=subject.project_id,
            subject_id=subject_id,
            kind=kind,
            limit=limit,
            before=before,
        )

    async def about(self, subject: Subject, subject_id: str, *, limit: int) -> Sequence[LogEntry]:
        """Return everything about one thing, the oldest first."""
        return await self._log.about(subject_id, project_id=subject.project_id, limit=limit)

    async def checkpoint(self) -> Checkpoint:
        """Return the newest signed statement. Raises `NoCheckpoint`."""
        newest = await self._log.newest_checkpoint()
        if newest is None:
            raise NoCheckpoint(
                "the log has not been signed yet", hint="a worker signs it when there is an entry"
            )
        return newest

    async def nodes(self, wanted: Collection[NodeId]) -> dict[NodeId, bytes]:
        """Return kept hashes of the tree; they say nothing of what they are hashes of."""
        return await self._log.nodes(wanted)
