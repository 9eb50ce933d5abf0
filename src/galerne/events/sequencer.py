"""Gives every committed entry its place in the tree, and signs what the tree has become.

An entry is written by whatever transaction caused it, without a place: places are given here, one after
another and without a gap, after the commit. A batch is one transaction: places, tree nodes and signed
checkpoint become visible together or not at all, so there is no step between which a crash could lose
anything. Several sequencers may run on one database: a leaf's node can be inserted once, so of two that
chose the same place one commits, and the other's whole batch is undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Gauge
from sqlalchemy import bindparam, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Database, Scope
from galerne.events import merkle
from galerne.events.leaves import leaf_bytes
from galerne.events.merkle import Appended, Leaves, NodeId
from galerne.events.models import Checkpoint, LogEntry, TreeNode
from galerne.events.notes import Signer, checkpoint_text, sign_note
from galerne.events.repository import LogRepository
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id

BATCH_ENTRIES = 1_000
BATCHES_MAX = 20  # Of one run, so that the worker gets its turn to stop.
_log = structlog.get_logger(__name__)
_size = Gauge("galerne_log_tree_size", "Entries in the signed tree")


@dataclass(frozen=True, slots=True)
class _Batch:
    """Entries in the order of the places they will get, and the tree as it will be then."""

    entry_ids: Sequence[str]
    leaf_hashes: Sequence[bytes]
    first_index: int
    tree: Appended


class Sequencer:
    """Extends the tree. Stateless between runs."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        signer: Signer,
        owner: str,
        *,
        batch_entries: int = BATCH_ENTRIES,
    ) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer
        self._owner = owner
        self._batch_entries = batch_entries

    async def run(self) -> int:
        """Sequence what has been committed; return how many entries. Safe to repeat and to kill."""
        sequenced = 0
        for _ in range(BATCHES_MAX):
            added = await self._run_batch()
            sequenced += added
            if added < self._batch_entries:
                break
        return sequenced

    async def _run_batch(self) -> int:
        batch = await self._prepare()
        if batch is None:
            return 0
        try:
            async with self._database.write(Scope.system()) as session:
                await self._store(session, batch)
        except IntegrityError:
            _log.info("sequencer_overtaken", owner=self._owner, first_index=batch.first_index)
            return 0
        _size.set(batch.tree.size)
        _log.debug(
            "sequenced", owner=self._owner, entries=len(batch.entry_ids), size=batch.tree.size
        )
        return len(batch.entry_ids)

    async def _prepare(self) -> _Batch | None:
        """Read and hash, without a lock: the hashing is most of the work."""
        async with self._database.read(Scope.system()) as session:
            log = LogRepository(session)
            size = await log.tree_size()
            entries = await log.pending(limit=self._batch_entries)
            if not entries:
                return None
            edge = merkle.covering(Leaves(0, size))
            nodes = await log.nodes(edge)
            entry_ids = [entry.id for entry in entries]
            hashes = [merkle.leaf_hash(leaf_bytes(entry)) for entry in entries]
        return _Batch(
            entry_ids=entry_ids,
            leaf_hashes=hashes,
            first_index=size,
            tree=merkle.append(size, _in_order(edge, nodes), hashes),
        )

    async def _store(self, session: AsyncSession, batch: _Batch) -> None:
        # The nodes first: whoever comes second waits here for the first one's commit, and fails.
        connection = await session.connection()
        await connection.execute(
            insert(TreeNode),
            [
                {"level": node.level, "position": node.position, "hash": hashed}
                for node, hashed in batch.tree.nodes
            ],
        )
        await connection.execute(
            update(LogEntry)
            .where(LogEntry.id == bindparam("entry_id"), LogEntry.leaf_index.is_(None))
            .values(leaf_index=bindparam("index"), leaf_hash=bindparam("hashed")),
            [
                {"entry_id": entry_id, "index": batch.first_index + offset, "hashed": hashed}
                for offset, (entry_id, hashed) in enumerate(
                    zip(batch.entry_ids, batch.leaf_hashes, strict=True)
                )
            ],
        )
        session.add(self._checkpoint(batch.tree))

    def _checkpoint(self, tree: Appended) -> Checkpoint:
        return Checkpoint(
            id=new_id(Checkpoint.id_prefix),
            created_at=self._clock.now(),
            tree_size=tree.size,
            root=tree.root,
            note=sign_note(checkpoint_text(self._signer.name, tree), self._signer),
        )


def _in_order(edge: Sequence[NodeId], nodes: Mapping[NodeId, bytes]) -> list[bytes]:
    return [nodes[node] for node in edge]
