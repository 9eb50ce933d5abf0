"""Routes of blobs and artifacts. What moves content holds no session while it does."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.responses import StreamingResponse

from galerne.iam.projects.service import ProjectService
from galerne.integrations.objectstore.base import StoredFile
from galerne.integrations.objectstore.trees import Trees
from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.artifacts.models import Artifact
from galerne.registry.artifacts.schemas import (
    SHA256_PATTERN,
    ArtifactCreate,
    ArtifactOut,
    BlobOut,
    FileOut,
)
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.artifacts.uploads import Uploads
from galerne.registry.auth import RegistryRead, RegistryWrite
from galerne.registry.owner import owner_of
from galerne.rest.provide import context_of, provided, shared
from galerne.rest.route import AuthenticatedRoute, TransactionalRoute

blob_router = APIRouter(prefix="/blobs", tags=["artifacts"], route_class=AuthenticatedRoute)
_content = APIRouter(prefix="/artifacts", tags=["artifacts"], route_class=AuthenticatedRoute)
_artifacts = APIRouter(prefix="/artifacts", tags=["artifacts"], route_class=TransactionalRoute)

Artifacts = Annotated[ArtifactService, Depends(provided(ArtifactService))]
Projects = Annotated[ProjectService, Depends(provided(ProjectService))]
SharedTrees = Annotated[Trees, Depends(shared(Trees))]


@blob_router.put(
    "/{sha256}",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def put_blob(
    sha256: Annotated[str, Path(pattern=SHA256_PATTERN)],
    request: Request,
    subject: RegistryWrite,
    trees: SharedTrees,
    content_length: Annotated[int | None, Header(include_in_schema=False)] = None,
) -> BlobOut:
    """Send content under its SHA-256, which is checked. Sending the same again changes nothing."""
    context = context_of(request)
    stored = await Uploads(context.database, context.clock, trees).receive(
        subject, sha256, request.stream(), announced=content_length
    )
    return BlobOut(sha256=stored.sha256, size_bytes=stored.size_bytes)


@_artifacts.post("", status_code=201)
async def create_artifact(
    body: ArtifactCreate, subject: RegistryWrite, artifacts: Artifacts, projects: Projects
) -> ArtifactOut:
    """Keep files that were sent before as one directory."""
    project = await projects.resolve(subject, body.project)
    manifest = Manifest.of(StoredFile(**file.model_dump()) for file in body.files)
    return artifact_out(await artifacts.create(subject, manifest, owner=owner_of(project)))


@_artifacts.get("/{artifact_id}")
async def get_artifact(
    artifact_id: str, subject: RegistryRead, artifacts: Artifacts
) -> ArtifactOut:
    """Show an artifact with its files."""
    del subject
    return artifact_out(await artifacts.get(artifact_id))


@_content.get(
    "/{artifact_id}/files/{path:path}",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def read_artifact_file(
    artifact_id: str, path: str, request: Request, subject: RegistryRead, trees: SharedTrees
) -> StreamingResponse:
    """Fetch one file of an artifact."""
    context = context_of(request)
    async with context.database.read(subject.scope) as session:
        file = await ArtifactService(session, context.clock).file(artifact_id, path)
    return _file_response(file, await trees.store.open(file.sha256))


router = APIRouter()
router.include_router(_artifacts)
router.include_router(_content)


def artifact_out(row: Artifact) -> ArtifactOut:
    return ArtifactOut(
        id=row.id,
        project_id=row.project_id,
        digest=row.digest,
        size_bytes=row.size_bytes,
        files=[FileOut(**file) for file in row.manifest],
        created_at=row.created_at,
    )


def _file_response(file: StoredFile, content: AsyncIterator[bytes]) -> StreamingResponse:
    # Never shown by a browser as a page of ours: a tenant's file says nothing in our name.
    return StreamingResponse(
        content,
        media_type="application/octet-stream",
        headers={
            "content-length": str(file.size_bytes),
            "content-disposition": "attachment",
            "x-content-type-options": "nosniff",
            "etag": f'"{file.sha256}"',
        },
    )
