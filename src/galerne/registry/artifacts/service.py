"""What tenants may name: blobs they have sent, artifacts made of them."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.events.emit import emit
from galerne.integrations.objectstore.base import StoredFile, StoredObject
from galerne.integrations.objectstore.errors import TreeTooLarge
from galerne.integrations.objectstore.trees import TreeLimits
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.registry.artifacts.errors import (
    ArtifactNotFound,
    BlobMissing,
    FileNotInArtifact,
)
from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.artifacts.models import Artifact, Blob
from galerne.registry.artifacts.repository import ArtifactRepository, BlobRepository
from galerne.registry.owner import Owner
from galerne.rest.subject import Subject

_NAMED_MAX = 20


class ArtifactService:
    """Blobs and artifacts on record. The bytes are the business of the object store."""

    def __init__(
        self, session: AsyncSession, clock: Clock, *, limits: TreeLimits | None = None
    ) -> None:
        self._session = session
        self._clock = clock
        self._limits = limits or TreeLimits()
        self._blobs = BlobRepository(session)
        self._artifacts = ArtifactRepository(session)

    async def record_sent(self, subject: Subject, stored: StoredObject) -> None:
        """Remember that this caller has sent the content. Idempotent."""
        sent_for = subject.project_id or ""
        if await self._blobs.find(subject.organization_id, sent_for, stored.sha256):
            return
        blob = Blob(
            id=new_id(Blob.id_prefix),
            created_at=self._clock.now(),
            organization_id=subject.organization_id,
            sent_for=sent_for,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
        )
        try:
            async with self._session.begin_nested():
                self._blobs.add(blob)
        except IntegrityError:
            return  # A twin of this upload was quicker.

    async def require_sent(self, subject: Subject, manifest: Manifest) -> None:
        """Refuse a manifest that names content which this caller has not sent. Raises `BlobMissing`.

        The answer is the same whether the store holds the content for somebody else or not at all.
        """
        digests = {file.sha256 for file in manifest.files}
        sizes = await self._blobs.sizes(subject.organization_id, subject.project_id, digests)
        missing = [file for file in manifest.files if sizes.get(file.sha256) != file.size_bytes]
        if missing:
            raise BlobMissing(
                f"{len(missing)} of {len(manifest.files)} files were not sent, or have another size;"
                f" the first is {missing[0].path!r}",
                hint="send each file with PUT /blobs/{sha256} first",
                details={"paths": [file.path for file in missing[:_NAMED_MAX]]},
            )

    async def create(self, subject: Subject, manifest: Manifest, *, owner: Owner) -> Artifact:
        """Register files that this caller has sent. Raises `BlobMissing`."""
        await self.require_sent(subject, manifest)
        return self._add(manifest, owner=owner, source_id=None, actor=subject.actor)

    async def store(
        self, manifest: Manifest, *, owner: Owner, source_id: str, actor: str
    ) -> Artifact:
        """Register files that we collected ourselves. Idempotent by `source_id` within the project."""
        known = await self._artifacts.by_source(owner.project_id, source_id)
        if known is not None:
            return known
        artifact = self._add(manifest, owner=owner, source_id=source_id, actor=actor)
        await self._session.flush()
        return artifact

    async def get(self, artifact_id: str, *, project_id: str | None = None) -> Artifact:
        """Return an artifact, of `project_id` where that is given. Raises `ArtifactNotFound`."""
        artifact = await self._artifacts.get(artifact_id)
        if artifact is None or project_id not in {None, artifact.project_id}:
            raise ArtifactNotFound(
                f"there is no artifact {artifact_id[:100]}",
                hint="artifacts are seen by the keys of their own project only",
            )
        return artifact

    async def every(self) -> Sequence[Artifact]:
        """Return all artifacts that the session sees; for the storage meter, of all tenants."""
        return await self._artifacts.all()

    async def manifest(self, artifact_id: str) -> Manifest:
        """Return an artifact's files. Raises `ArtifactNotFound`."""
        return Manifest.from_json((await self.get(artifact_id)).manifest)

    async def file(self, artifact_id: str, path: str) -> StoredFile:
        """Return one file of an artifact. Raises `ArtifactNotFound`, `FileNotInArtifact`."""
        found = (await self.manifest(artifact_id)).find(path)
        if found is None:
            raise FileNotInArtifact(
                f"the artifact {artifact_id} has no file {path[:200]!r}",
                hint="GET /artifacts/{id} lists its files",
            )
        return found

    def _add(
        self, manifest: Manifest, *, owner: Owner, source_id: str | None, actor: str
    ) -> Artifact:
        if manifest.size_bytes > self._limits.tree_bytes_max:
            raise TreeTooLarge(
                f"{manifest.size_bytes} bytes; an artifact has at most"
                f" {self._limits.tree_bytes_max}",
                hint="split it into several artifacts",
            )
        now = self._clock.now()
        artifact = self._artifacts.add(
            Artifact(
                id=new_id(Artifact.id_prefix),
                created_at=now,
                organization_id=owner.organization_id,
                project_id=owner.project_id,
                digest=manifest.digest,
                size_bytes=manifest.size_bytes,
                files_count=len(manifest.files),
                manifest=manifest.as_json(),
                source_id=source_id,
            )
        )
        emit(
            self._session,
            "artifact.created",
            subject_id=artifact.id,
            organization_id=owner.organization_id,
            project_id=owner.project_id,
            actor=actor,
            data={
                "digest": artifact.digest,
                "files": artifact.files_count,
                "size_bytes": artifact.size_bytes,
                "source_id": source_id,
                "label": owner.label.as_json(),
            },
            at=now,
        )
        return artifact
