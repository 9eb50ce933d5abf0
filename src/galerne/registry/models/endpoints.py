"""Routes of models."""

from typing import Annotated

from fastapi import APIRouter, Depends

from galerne.iam.projects.schemas import LabelOut
from galerne.iam.projects.service import ProjectService
from galerne.registry.auth import RegistryRead
from galerne.registry.fields import RegistryName
from galerne.registry.models.models import PublicModel, RegisteredModel
from galerne.registry.models.schemas import LineageOut, ModelOut
from galerne.registry.models.service import AnyModel, ModelService
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute
from galerne.sovereignty.labels import Label

router = APIRouter(prefix="/models", tags=["models"], route_class=TransactionalRoute)

Models = Annotated[ModelService, Depends(provided(ModelService))]
Projects = Annotated[ProjectService, Depends(provided(ProjectService))]


@router.get("")
async def list_models(
    subject: RegistryRead,
    models: Models,
    projects: Projects,
    project: str | None = None,
    name: RegistryName | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[ModelOut]:
    """List your models and the public ones, newest first."""
    project_id = (await projects.resolve(subject, project)).id if project is not None else None
    rows = await models.list(project_id=project_id, name=name, limit=limit, before=cursor)
    return page([model_out(row) for row in rows], ids=[row.id for row in rows], limit=limit)


@router.get("/{model_id}")
async def get_model(model_id: str, subject: RegistryRead, models: Models) -> ModelOut:
    """Show one version of a model, with what it came from."""
    del subject
    return model_out(await models.get(model_id))


def model_out(row: AnyModel) -> ModelOut:
    return _public_out(row) if isinstance(row, PublicModel) else _registered_out(row)


def _registered_out(row: RegisteredModel) -> ModelOut:
    return ModelOut(
        id=row.id,
        is_public=False,
        project_id=row.project_id,
        name=row.name,
        version=row.version,
        format=row.format,
        size_bytes=row.size_bytes,
        context_tokens=row.context_tokens,
        licence=row.licence,
        label=LabelOut(**row.label),
        artifact_id=row.artifact_id,
        lineage=[LineageOut(**item) for item in row.lineage],
        metrics=row.metrics,
        source={},
        description=row.description,
        created_at=row.created_at,
    )


def _public_out(row: PublicModel) -> ModelOut:
    return ModelOut(
        id=row.id,
        is_public=True,
        project_id=None,
        name=row.name,
        version=row.version,
        format=row.format,
        size_bytes=row.size_bytes,
        context_tokens=row.context_tokens,
        licence=row.licence,
        label=LabelOut(**Label().as_json()),
        artifact_id=None,
        lineage=[],
        metrics={},
        source={**row.source, "sha256": row.sha256},
        description="",
        created_at=row.created_at,
    )
