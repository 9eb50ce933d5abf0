"""The registry as jobs see it: an adapter, since jobs stand below the registry and may not import it."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.admission import ResolvedInput
from galerne.integrations.objectstore.base import StoredFile
from galerne.integrations.objectstore.trees import Trees
from galerne.kit.clock import Clock
from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.datasets.service import DatasetService
from galerne.registry.models.errors import ModelNotFound
from galerne.registry.models.service import ModelService
from galerne.rest.subject import Subject


class RegistryInputs:
    """Implements `compute.admission.Inputs`."""

    def __init__(self, clock: Clock, trees: Trees) -> None:
        self._clock = clock
        self._trees = trees

    async def resolve(
        self, session: AsyncSession, subject: Subject, *, project_id: str, kind: str, reference: str
    ) -> ResolvedInput:
        del subject
        if kind == "dataset":
            dataset = await DatasetService(session, self._clock).resolve(project_id, reference)
            return ResolvedInput(
                kind=kind,
                id=dataset.id,
                name=dataset.name,
                version=dataset.version,
                licence=dataset.licence,
                label=dataset.label,
                digest=dataset.manifest.digest,
                files=dataset.manifest.files,
            )
        model = await ModelService(session, self._clock, self._trees).resolve(project_id, reference)
        if model.manifest is None:
            raise ModelNotFound(
                f"{reference} is a public model, which jobs cannot mount yet",
                hint="register a copy in your project and name that",
            )
        return ResolvedInput(
            kind=kind,
            id=model.id,
            name=model.name,
            version=model.version,
            licence=model.licence,
            label=model.label,
            digest=model.manifest.digest,
            files=model.manifest.files,
        )

    async def require_sent(
        self, session: AsyncSession, subject: Subject, files: Sequence[StoredFile]
    ) -> None:
        if not files:
            return
        manifest = Manifest.of(files)
        await ArtifactService(session, self._clock).require_sent(subject, manifest)
