"""Registering and finding models: a project's own, and the operator's catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.events.emit import emit
from galerne.integrations.objectstore.trees import Trees
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.artifacts.models import Artifact
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.datasets.errors import DatasetNotFound
from galerne.registry.datasets.service import DatasetService
from galerne.registry.labels import derived
from galerne.registry.models.errors import LineageUnknown, ModelBusy, ModelNotFound
from galerne.registry.models.formats import detect_format
from galerne.registry.models.models import ModelFormat, PublicModel, RegisteredModel
from galerne.registry.models.repository import PublicModelRepository, RegisteredModelRepository
from galerne.registry.owner import Owner
from galerne.registry.reference import Reference
from galerne.sovereignty.labels import Label

ATTEMPTS_MAX = 5
LineageKind = Literal["dataset", "model", "job"]
AnyModel = RegisteredModel | PublicModel


@dataclass(frozen=True, slots=True)
class LineageItem:
    """Something that a model came from: a dataset, another model, or the job that made it."""

    kind: LineageKind
    id: str
    name: str
    version: int | None = None  # A job has none.

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "id": self.id, "name": self.name, "version": self.version}


@dataclass(frozen=True, slots=True)
class ModelRegistration:
    """A new version of a project's model."""

    name: str
    artifact_id: str
    licence: str
    lineage: tuple[LineageItem, ...] = ()  # The labels of its datasets and models flow in.
    label: Label = field(default_factory=Label)  # Narrows further; never widens.
    metrics: Mapping[str, Any] = field(default_factory=dict)
    context_tokens: int | None = None
    description: str = ""
    format: ModelFormat | None = None  # None: seen from the files.
    source_id: str | None = None  # What made it; the same one again registers nothing.


@dataclass(frozen=True, slots=True)
class PublicModelEntry:
    """A model that the operator offers to everybody."""

    name: str
    format: ModelFormat
    path: Path
    licence: str
    source: Mapping[str, Any]  # As {"package": "…", "version": "…"}.
    sha256: str
    size_bytes: int
    context_tokens: int | None


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """One version of a model, with everything that serving it needs."""

    id: str
    kind: Literal["registered", "public"]
    name: str
    version: int
    format: ModelFormat
    path: (
        Path  # GGUF: the file. Safetensors: the directory, there once `Trees.directory` was called.
    )
    licence: str
    label: Label
    context_tokens: int | None
    artifact_id: str | None  # None for a public model.
    manifest: Manifest | None


class ModelService:
    """Models by name and version. A project's own model hides a public one of the same name."""

    def __init__(self, session: AsyncSession, clock: Clock, trees: Trees) -> None:
        self._session = session
        self._clock = clock
        self._trees = trees
        self._registered = RegisteredModelRepository(session)
        self._public = PublicModelRepository(session)
        self._artifacts = ArtifactService(session, clock)
        self._datasets = DatasetService(session, clock)

    async def register(
        self, registration: ModelRegistration, *, owner: Owner, actor: str
    ) -> RegisteredModel:
        """Add a version: the next of its name. Idempotent where `source_id` is set.

        Its label is what the project, every dataset and model of its lineage, and the registration
        allow. Raises `ArtifactNotFound`, `LabelEmpty`, `LineageUnknown`, `ModelFormatUnknown`.
        """
        if registration.source_id is not None:
            known = await self._registered.by_source(owner.project_id, registration.source_id)
            if known is not None:
                return known
        artifact = await self._artifacts.get(registration.artifact_id, project_id=owner.project_id)
        found = registration.format or detect_format(Manifest.from_json(artifact.manifest))
        inputs = [await self._label_of(item, owner) for item in registration.lineage]
        label = derived(owner.label, registration.label, inputs=inputs)
        model = await self._insert(
            registration, artifact, owner=owner, label=label, model_format=found
        )
        self._emit(model, actor=actor)
        return model

    async def ensure_public(self, entry: PublicModelEntry) -> PublicModel:
        """Offer a model to everybody. The same content again only moves its path; other is a version."""
        newest = await self._public.find(Reference(entry.name))
        if newest is not None and newest.sha256 == entry.sha256:
            if newest.path != str(entry.path):
                newest.path = str(entry.path)
            return newest
        model = self._public.add(
            PublicModel(
                id=new_id(PublicModel.id_prefix),
                created_at=self._clock.now(),
                name=entry.name,
                version=1 if newest is None else newest.version + 1,
                format=entry.format,
                path=str(entry.path),
                licence=entry.licence,
                source=dict(entry.source),
                sha256=entry.sha256,
                size_bytes=entry.size_bytes,
                context_tokens=entry.context_tokens,
            )
        )
        await self._session.flush()
        return model

    async def get(self, model_id: str) -> AnyModel:
        """Return a registered or public model by its id. Raises `ModelNotFound`."""
        model = await self._registered.get(model_id) or await self._public.get(model_id)
        if model is None:
            raise ModelNotFound(
                f"there is no model {model_id[:100]}", hint="GET /models lists them"
            )
        return model

    async def list(
        self,
        *,
        project_id: str | None = None,
        name: str | None = None,
        limit: int,
        before: str | None = None,
    ) -> Sequence[AnyModel]:
        """Return the caller's and the public models together, the newest first."""
        registered = await self._registered.list(
            project_id=project_id, name=name, limit=limit, before=before
        )
        public = await self._public.list(name=name, limit=limit, before=before)
        merged: Sequence[AnyModel] = [*registered, *public]
        return sorted(merged, key=lambda model: model.id, reverse=True)[:limit]

    async def resolve(self, project_id: str, reference: str) -> ResolvedModel:
        """Find `name` or `name:version`: in the project first, then in the public catalogue.

        Raises `ModelNotFound`, which names what there is.
        """
        wanted = Reference.parse(reference)
        registered = await self._registered.find(project_id, wanted)
        if registered is not None:
            return await self._resolved(registered)
        public = await self._public.find(wanted)
        if public is not None:
            return _resolved_public(public)
        known = [*await self._registered.names(project_id), *await self._public.names()]
        raise ModelNotFound(
            f"the project sees no model {wanted}",
            hint=f"it sees: {', '.join(known)}" if known else "register one first",
        )

    async def _resolved(self, model: RegisteredModel) -> ResolvedModel:
        manifest = await self._artifacts.manifest(model.artifact_id)
        return ResolvedModel(
            id=model.id,
            kind="registered",
            name=model.name,
            version=model.version,
            format=model.format,
            path=self._path(model.format, manifest),
            licence=model.licence,
            label=Label.from_json(model.label),
            context_tokens=model.context_tokens,
            artifact_id=model.artifact_id,
            manifest=manifest,
        )

    def _path(self, model_format: ModelFormat, manifest: Manifest) -> Path:
        if model_format is ModelFormat.GGUF:
            (weights,) = manifest.with_suffix(".gguf")
            return self._trees.store.local_path(weights.sha256)
        return self._trees.path(manifest.digest)

    async def _label_of(self, item: LineageItem, owner: Owner) -> Label:
        """Return what flows in from one thing of the lineage. A job's label is the owner's business."""
        if item.kind == "job":
            return Label()
        try:
            if item.kind == "dataset":
                source: Any = await self._datasets.get(item.id)
            else:
                source = await self.get(item.id)
        except (DatasetNotFound, ModelNotFound):
            source = None
        if isinstance(source, PublicModel):
            return Label()
        if source is None or source.project_id != owner.project_id:
            raise LineageUnknown(
                f"the project has no {item.kind} {item.id[:100]}",
                hint="lineage names datasets and models of the same project, or public models",
            )
        return Label.from_json(source.label)

    async def _insert(
        self,
        registration: ModelRegistration,
        artifact: Artifact,
        *,
        owner: Owner,
        label: Label,
        model_format: ModelFormat,
    ) -> RegisteredModel:
        for _ in range(ATTEMPTS_MAX):
            version = 1 + await self._registered.version_max(owner.project_id, registration.name)
            model = RegisteredModel(
                id=new_id(RegisteredModel.id_prefix),
                created_at=self._clock.now(),
                organization_id=owner.organization_id,
                project_id=owner.project_id,
                name=registration.name,
                version=version,
                artifact_id=artifact.id,
                size_bytes=artifact.size_bytes,
                format=model_format,
                licence=registration.licence,
                label=label.as_json(),
                lineage=[item.as_json() for item in registration.lineage],
                metrics=dict(registration.metrics),
                context_tokens=registration.context_tokens,
                description=registration.description,
                source_id=registration.source_id,
            )
            try:
                async with self._session.begin_nested():
                    self._registered.add(model)
            except IntegrityError:
                continue  # Another request took this version meanwhile.
            return model
        raise ModelBusy(
            f"{registration.name} is being registered by others at this moment",
            hint="send the same request again",
        )

    def _emit(self, model: RegisteredModel, *, actor: str) -> None:
        emit(
            self._session,
            "model.registered",
            subject_id=model.id,
            organization_id=model.organization_id,
            project_id=model.project_id,
            actor=actor,
            data={
                "name": model.name,
                "version": model.version,
                "artifact_id": model.artifact_id,
                "format": model.format.value,
                "licence": model.licence,
                "label": model.label,
                "lineage": model.lineage,
            },
            at=model.created_at,
        )


def _resolved_public(model: PublicModel) -> ResolvedModel:
    return ResolvedModel(
        id=model.id,
        kind="public",
        name=model.name,
        version=model.version,
        format=model.format,
        path=Path(model.path),
        licence=model.licence,
        label=Label(),
        context_tokens=model.context_tokens,
        artifact_id=None,
        manifest=None,
    )
