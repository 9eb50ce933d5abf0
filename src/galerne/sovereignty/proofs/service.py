"""Makes proof bundles from the log."""

import json
from base64 import b64encode
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.events import merkle
from galerne.events.leaves import leaf_bytes
from galerne.events.models import Checkpoint, LogEntry
from galerne.events.service import EventService
from galerne.rest.subject import Subject
from galerne.sovereignty.keys import LogSigner
from galerne.sovereignty.proofs.errors import (
    LogDamaged,
    ProofPending,
    ProofSubjectUnknown,
    ProofTooLarge,
)
from galerne.sovereignty.proofs.schemas import FORMAT, ProofOut, ProvenEntry
from galerne.sovereignty.proofs.summary import summarize

ENTRIES_MAX = 10_000


class ProofService:
    """Proofs about a tenant's own things."""

    def __init__(self, session: AsyncSession, signer: LogSigner) -> None:
        self._events = EventService(session)
        self._signer = signer

    async def prove(self, subject: Subject, subject_id: str) -> ProofOut:
        """Prove every entry about `subject_id` against the newest checkpoint.

        Raises `ProofSubjectUnknown`, also for another tenant's, and `ProofPending` while entries wait
        for their place in the tree.
        """
        found = await self._events.about(subject, subject_id, limit=ENTRIES_MAX + 1)
        _require_provable(found, subject_id)
        checkpoint = await self._events.checkpoint()
        entries = await self._proven(found, checkpoint)
        leaves = [(entry.leaf_index, json.loads(entry.leaf)) for entry in entries]
        return ProofOut(
            format=FORMAT,
            subject_id=subject_id,
            verifier_key=self._signer.verifier_key,
            checkpoint=checkpoint.note,
            entries=entries,
            summary=summarize(leaves),
        )

    async def _proven(self, found: Sequence[LogEntry], checkpoint: Checkpoint) -> list[ProvenEntry]:
        by_index = {_index(entry): leaf_bytes(entry) for entry in found}
        _require_unchanged(found)
        paths = {
            index: merkle.inclusion_path(index, checkpoint.tree_size) for index in sorted(by_index)
        }
        nodes = await self._events.nodes(merkle.nodes_needed(paths.values()))
        return [
            ProvenEntry(
                leaf_index=index,
                leaf=by_index[index].decode(),
                inclusion=[
                    b64encode(merkle.subtree_hash(leaves, nodes)).decode() for leaves in path
                ],
            )
            for index, path in paths.items()
        ]


def _require_provable(found: Sequence[LogEntry], subject_id: str) -> None:
    if not found:
        raise ProofSubjectUnknown(
            f"the log has nothing about {subject_id[:100]!r}",
            hint="give the id of a job, deployment, model or other thing of your organization's",
        )
    if len(found) > ENTRIES_MAX:
        raise ProofTooLarge(
            f"more than {ENTRIES_MAX} entries are about {subject_id}",
            hint="read them with GET /events; a proof over a part of them is not offered yet",
        )
    pending = sum(entry.leaf_index is None for entry in found)
    if pending:
        raise ProofPending(
            f"{pending} of {len(found)} entries are not signed yet",
            hint="a worker signs them within seconds; ask again in a moment",
            details={"entries": len(found), "pending": pending},
        )


def _require_unchanged(found: Sequence[LogEntry]) -> None:
    for entry in found:
        if merkle.leaf_hash(leaf_bytes(entry)) != entry.leaf_hash:
            raise LogDamaged(
                f"the entry {entry.id} no longer says what was signed at place {entry.leaf_index}",
                hint="restore the database from a backup; the change was not made by the platform",
            )


def _index(entry: LogEntry) -> int:
    assert entry.leaf_index is not None, "checked before"
    return entry.leaf_index
