"""Statements on the log's tables."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, func, select

from galerne.db.repository import Repository
from galerne.events.merkle import NodeId
from galerne.events.models import Checkpoint, LogEntry, TreeNode

POSITIONS_PER_STATEMENT = 5_000


class LogRepository(Repository[LogEntry]):
    """Entries, tree nodes and checkpoints."""

    model = LogEntry

    async def pending(self, *, limit: int) -> Sequence[LogEntry]:
        """Return committed entries without a place, the oldest first."""
        statement = (
            self._select().where(LogEntry.leaf_index.is_(None)).order_by(LogEntry.id).limit(limit)
        )
        return (await self.session.scalars(statement)).all()

    async def tree_size(self) -> int:
        return await self.session.scalar(select(func.max(Checkpoint.tree_size))) or 0

    async def newest_checkpoint(self) -> Checkpoint | None:
        return await self.session.scalar(
            select(Checkpoint).order_by(Checkpoint.tree_size.desc()).limit(1)
        )

    async def nodes(self, wanted: Collection[NodeId]) -> dict[NodeId, bytes]:
        """Read kept hashes: one statement for each level of the tree."""
        by_level: dict[int, list[int]] = {}
        for node in sorted(wanted):
            by_level.setdefault(node.level, []).append(node.position)
        found: dict[NodeId, bytes] = {}
        for level, positions in by_level.items():
            for start in range(0, len(positions), POSITIONS_PER_STATEMENT):
                chunk = positions[start : start + POSITIONS_PER_STATEMENT]
                rows = await self.session.execute(
                    select(TreeNode.position, TreeNode.hash).where(
                        TreeNode.level == level, TreeNode.position.in_(chunk)
                    )
                )
                found |= {NodeId(level, row.position): row.hash for row in rows}
        return found

    async def about(
        self, subject_id: str, *, project_id: str | None, limit: int
    ) -> Sequence[LogEntry]:
        """Return the entries about one thing, the oldest first."""
        statement = self._select().where(LogEntry.subject_id == subject_id)
        if project_id is not None:
            statement = statement.where(LogEntry.project_id == project_id)
        return (await self.session.scalars(statement.order_by(LogEntry.id).limit(limit))).all()

    async def find(
        self,
        *,
        project_id: str | None,
        subject_id: str | None,
        kind: str | None,
        limit: int,
        before: str | None,
    ) -> Sequence[LogEntry]:
        conditions: list[ColumnElement[bool]] = []
        if project_id is not None:
            conditions.append(LogEntry.project_id == project_id)
        if subject_id is not None:
            conditions.append(LogEntry.subject_id == subject_id)
        if kind is not None and kind.endswith(".*"):
            conditions.append(LogEntry.kind.startswith(kind.removesuffix("*"), autoescape=True))
        elif kind is not None:
            conditions.append(LogEntry.kind == kind)
        return await self.page(*conditions, limit=limit, before=before)
