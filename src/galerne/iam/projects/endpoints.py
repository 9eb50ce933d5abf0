"""Routes of projects."""

from typing import Annotated

from fastapi import APIRouter, Depends

from galerne.iam.projects.auth import ProjectsRead, ProjectsWrite
from galerne.iam.projects.models import Project
from galerne.iam.projects.schemas import LabelOut, ProjectChange, ProjectCreate, ProjectOut
from galerne.iam.projects.service import ProjectService
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute

router = APIRouter(prefix="/projects", tags=["projects"], route_class=TransactionalRoute)

Projects = Annotated[ProjectService, Depends(provided(ProjectService))]


@router.post("", status_code=201)
async def create_project(
    body: ProjectCreate, subject: ProjectsWrite, projects: Projects
) -> ProjectOut:
    """Create a project under its residency label."""
    return project_out(await projects.create(subject, body))


@router.get("")
async def list_projects(
    subject: ProjectsRead, projects: Projects, limit: Limit = 100, cursor: Cursor = None
) -> Page[ProjectOut]:
    """List the projects that the key sees, newest first."""
    rows = await projects.page(subject, limit=limit, before=cursor)
    return page([project_out(row) for row in rows], ids=[row.id for row in rows], limit=limit)


@router.get("/{project_id}")
async def get_project(project_id: str, subject: ProjectsRead, projects: Projects) -> ProjectOut:
    """Show a project."""
    return project_out(await projects.get(subject, project_id))


@router.patch("/{project_id}")
async def change_project(
    project_id: str, body: ProjectChange, subject: ProjectsWrite, projects: Projects
) -> ProjectOut:
    """Rename a project or change its label. A wider label takes an owner."""
    return project_out(await projects.change(subject, project_id, body))


def project_out(project: Project) -> ProjectOut:
    return ProjectOut(
        id=project.id,
        organization_id=project.organization_id,
        name=project.name,
        label=LabelOut(**project.label),
        created_at=project.created_at,
    )
