"""Routes of datasets."""

from typing import Annotated

from fastapi import APIRouter, Depends

from galerne.iam.projects.schemas import LabelOut
from galerne.iam.projects.service import ProjectService, read_label
from galerne.registry.auth import RegistryRead, RegistryWrite
from galerne.registry.datasets.models import Dataset
from galerne.registry.datasets.schemas import DatasetCreate, DatasetOut
from galerne.registry.datasets.service import DatasetRegistration, DatasetService
from galerne.registry.fields import RegistryName
from galerne.registry.owner import owner_of
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute
from galerne.sovereignty.labels import Label

router = APIRouter(prefix="/datasets", tags=["datasets"], route_class=TransactionalRoute)

Datasets = Annotated[DatasetService, Depends(provided(DatasetService))]
Projects = Annotated[ProjectService, Depends(provided(ProjectService))]


@router.post("", status_code=201)
async def create_dataset(
    body: DatasetCreate, subject: RegistryWrite, datasets: Datasets, projects: Projects
) -> DatasetOut:
    """Register an artifact as the next version of a dataset."""
    project = await projects.resolve(subject, body.project)
    registration = DatasetRegistration(
        name=body.name,
        artifact_id=body.artifact_id,
        licence=body.licence,
        label=Label() if body.label is None else read_label(body.label),
        source=body.source,
        description=body.description,
    )
    row = await datasets.register(registration, owner=owner_of(project), actor=subject.actor)
    return dataset_out(row)


@router.get("")
async def list_datasets(
    subject: RegistryRead,
    datasets: Datasets,
    projects: Projects,
    project: str | None = None,
    name: RegistryName | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DatasetOut]:
    """List versions of datasets, newest first."""
    project_id = (await projects.resolve(subject, project)).id if project is not None else None
    rows = await datasets.list(project_id=project_id, name=name, limit=limit, before=cursor)
    return page([dataset_out(row) for row in rows], ids=[row.id for row in rows], limit=limit)


@router.get("/{dataset_id}")
async def get_dataset(dataset_id: str, subject: RegistryRead, datasets: Datasets) -> DatasetOut:
    """Show one version of a dataset."""
    del subject
    return dataset_out(await datasets.get(dataset_id))


def dataset_out(row: Dataset) -> DatasetOut:
    return DatasetOut(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        version=row.version,
        artifact_id=row.artifact_id,
        size_bytes=row.size_bytes,
        licence=row.licence,
        label=LabelOut(**row.label),
        source=row.source,
        description=row.description,
        created_at=row.created_at,
    )
