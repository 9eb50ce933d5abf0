"""The registry's API in process, over a real database and store, called by whom the test says."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from galerne.db.session import Database, Scope
from galerne.events.endpoints import router as events
from galerne.events.service import EventService
from galerne.iam.organizations.models import Organization
from galerne.iam.projects.models import Project
from galerne.iam.projects.service import ProjectService
from galerne.integrations.objectstore.filesystem import FileObjectStore
from galerne.integrations.objectstore.trees import TreeLimits, Trees
from galerne.kit.clock import ManualClock
from galerne.registry.artifacts.endpoints import blob_router
from galerne.registry.artifacts.endpoints import router as artifacts
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.datasets.endpoints import router as datasets
from galerne.registry.datasets.service import DatasetService
from galerne.registry.models.endpoints import router as models
from galerne.registry.models.service import ModelService
from galerne.rest import problems
from galerne.rest.errors import Unauthenticated
from galerne.rest.provide import ApiContext
from galerne.rest.subject import Subject
from galerne.sovereignty.keys import LogSigner
from galerne.sovereignty.proofs.endpoints import router as proofs
from galerne.sovereignty.proofs.service import ProofService

SIGNER = LogSigner("example.eu/log", bytes(range(32)))
SCOPES = frozenset({"registry:read", "registry:write", "projects:read", "events:read"})
FRANCE = {"residency": ["FR"], "operator_not_subject_to": [], "certifications": []}
EUROPE = {"residency": ["DE", "FR"], "operator_not_subject_to": [], "certifications": []}

# Who presents which secret: two organizations, the first with two projects and a key bound to one.
SUBJECTS: Mapping[str, Subject] = {
    "first": Subject("org_1", "key_1", SCOPES),
    "bound": Subject("org_1", "key_2", SCOPES, "prj_1"),
    "bound elsewhere": Subject("org_1", "key_3", SCOPES, "prj_2"),
    "second": Subject("org_2", "key_4", SCOPES),
    "reader": Subject("org_1", "key_5", frozenset({"registry:read"})),
    "nobody": Subject("org_1", "key_6", frozenset()),
}


class Keys:
    """An authenticator whose secrets are the names above."""

    async def authenticate(self, secret: str) -> Subject:
        try:
            return SUBJECTS[secret.replace("-", " ")]
        except KeyError:
            raise Unauthenticated("unknown key") from None


@dataclass(frozen=True, slots=True)
class Platform:
    """What a registry test works with."""

    database: Database
    clock: ManualClock
    trees: Trees
    app: FastAPI

    def client(self, name: str = "first") -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app, raise_app_exceptions=False),
            base_url="http://galerne",
            headers={"authorization": f"Bearer {name.replace(' ', '-')}"},
        )


@asynccontextmanager
async def platform(database: Database, clock: ManualClock, folder: Path) -> AsyncIterator[Platform]:
    await _add_tenants(database, clock)
    limits = TreeLimits(file_bytes_max=1_000_000, tree_bytes_max=2_000_000)
    trees = Trees(FileObjectStore(folder / "objects"), folder / "trees", limits=limits)
    app = FastAPI()
    problems.install(app)
    for router in (blob_router, artifacts, datasets, models, events, proofs):
        app.include_router(router)
    app.state.context = ApiContext(
        database=database,
        authenticator=Keys(),
        clock=clock,
        providers={
            ProjectService: lambda session: ProjectService(session, clock),
            ArtifactService: lambda session: ArtifactService(session, clock, limits=limits),
            DatasetService: lambda session: DatasetService(session, clock),
            ModelService: lambda session: ModelService(session, clock, trees),
            EventService: EventService,
            ProofService: lambda session: ProofService(session, SIGNER),
        },
        shared={Trees: trees},
    )
    yield Platform(database, clock, trees, app)


async def _add_tenants(database: Database, clock: ManualClock) -> None:
    projects = [
        ("prj_1", "org_1", "alpha", FRANCE),
        ("prj_2", "org_1", "beta", EUROPE),
        ("prj_3", "org_2", "alpha", EUROPE),
    ]
    async with database.write(Scope.system()) as session:
        for organization_id in ("org_1", "org_2"):
            session.add(
                Organization(
                    id=organization_id,
                    created_at=clock.now(),
                    organization_id=organization_id,
                    legal_name=organization_id,
                    country="FR",
                    is_operator=False,
                )
            )
        await session.flush()
        for project_id, organization_id, name, label in projects:
            session.add(
                Project(
                    id=project_id,
                    created_at=clock.now(),
                    organization_id=organization_id,
                    name=name,
                    label=label,
                )
            )


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_of(path: str, content: bytes, **fields: Any) -> dict[str, Any]:
    return {"path": path, "sha256": digest_of(content), "size_bytes": len(content), **fields}


async def send(client: httpx2.AsyncClient, content: bytes) -> str:
    """Send content as a blob; return its digest."""
    answer = await client.put(f"/blobs/{digest_of(content)}", content=content)
    assert answer.status_code == 201, answer.text
    return digest_of(content)


async def make_artifact(
    client: httpx2.AsyncClient, files: Mapping[str, bytes], *, project: str = "alpha"
) -> dict[str, Any]:
    """Send files and register them as an artifact."""
    for content in files.values():
        await send(client, content)
    listed = [file_of(path, content) for path, content in files.items()]
    answer = await client.post("/artifacts", json={"project": project, "files": listed})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def post_escaped(client: httpx2.AsyncClient, path: str, body: Any) -> httpx2.Response:
    """Post JSON in ASCII, as other clients do, which can also say what is no text."""
    headers = {"content-type": "application/json"}
    return await client.post(path, content=json.dumps(body), headers=headers)
