"""Registering and finding datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.events.emit import emit
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.artifacts.models import Artifact
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.datasets.errors import DatasetBusy, DatasetNotFound
from galerne.registry.datasets.models import Dataset
from galerne.registry.datasets.repository import DatasetRepository
from galerne.registry.labels import derived
from galerne.registry.owner import Owner
from galerne.registry.reference import Reference
from galerne.sovereignty.labels import Label

ATTEMPTS_MAX = 5


@dataclass(frozen=True, slots=True)
class DatasetRegistration:
    """A new version of a dataset. The licence has no default: somebody must know it."""

    name: str
    artifact_id: str
    licence: str
    label: Label = field(default_factory=Label)  # Narrows the project's; never widens it.
    source: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    source_id: str | None = None  # What made it; the same one again registers nothing.


@dataclass(frozen=True, slots=True)
class ResolvedDataset:
    """One version of a dataset, with everything a workload needs of it."""

    id: str
    name: str
    version: int
    licence: str
    label: Label
    artifact_id: str
    manifest: Manifest  # Its files go to `Trees.directory` or `.materialize`.


class DatasetService:
    """Datasets of a project. Versions count up from 1 and never change."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._datasets = DatasetRepository(session)
        self._artifacts = ArtifactService(session, clock)

    async def register(
        self, registration: DatasetRegistration, *, owner: Owner, actor: str
    ) -> Dataset:
        """Add a version: the next of its name. Idempotent where `source_id` is set.

        Raises `ArtifactNotFound`, `LabelEmpty`.
        """
        if registration.source_id is not None:
            known = await self._datasets.by_source(owner.project_id, registration.source_id)
            if known is not None:
                return known
        artifact = await self._artifacts.get(registration.artifact_id, project_id=owner.project_id)
        label = derived(registration.label, owner.label)
        dataset = await self._insert(registration, artifact, owner=owner, label=label)
        emit(
            self._session,
            "dataset.registered",
            subject_id=dataset.id,
            organization_id=owner.organization_id,
            project_id=owner.project_id,
            actor=actor,
            data={
                "name": dataset.name,
                "version": dataset.version,
                "artifact_id": dataset.artifact_id,
                "licence": dataset.licence,
                "label": dataset.label,
            },
            at=dataset.created_at,
        )
        return dataset

    async def get(self, dataset_id: str) -> Dataset:
        """Return one version by its id. Raises `DatasetNotFound`."""
        dataset = await self._datasets.get(dataset_id)
        if dataset is None:
            raise DatasetNotFound(
                f"there is no dataset {dataset_id[:100]}", hint="GET /datasets lists them"
            )
        return dataset

    async def list(
        self,
        *,
        project_id: str | None = None,
        name: str | None = None,
        limit: int,
        before: str | None = None,
    ) -> Sequence[Dataset]:
        """Return versions, the newest first."""
        return await self._datasets.list(
            project_id=project_id, name=name, limit=limit, before=before
        )

    async def resolve(self, project_id: str, reference: str) -> ResolvedDataset:
        """Find `name` (its newest version) or `name:version` in the project. Raises `DatasetNotFound`."""
        wanted = Reference.parse(reference)
        dataset = await self._datasets.find(project_id, wanted)
        if dataset is None:
            known = ", ".join(await self._datasets.names(project_id))
            raise DatasetNotFound(
                f"the project has no dataset {wanted}",
                hint=f"it has: {known}" if known else "it has none yet; register one first",
            )
        return ResolvedDataset(
            id=dataset.id,
            name=dataset.name,
            version=dataset.version,
            licence=dataset.licence,
            label=Label.from_json(dataset.label),
            artifact_id=dataset.artifact_id,
            manifest=await self._artifacts.manifest(dataset.artifact_id),
        )

    async def _insert(
        self, registration: DatasetRegistration, artifact: Artifact, *, owner: Owner, label: Label
    ) -> Dataset:
        for _ in range(ATTEMPTS_MAX):
            version = 1 + await self._datasets.version_max(owner.project_id, registration.name)
            dataset = Dataset(
                id=new_id(Dataset.id_prefix),
                created_at=self._clock.now(),
                organization_id=owner.organization_id,
                project_id=owner.project_id,
                name=registration.name,
                version=version,
                artifact_id=artifact.id,
                size_bytes=artifact.size_bytes,
                licence=registration.licence,
                label=label.as_json(),
                source=dict(registration.source),
                description=registration.description,
                source_id=registration.source_id,
            )
            try:
                async with self._session.begin_nested():
                    self._datasets.add(dataset)
            except IntegrityError:
                continue  # Another request took this version meanwhile.
            return dataset
        raise DatasetBusy(
            f"{registration.name} is being registered by others at this moment",
            hint="send the same request again",
        )
