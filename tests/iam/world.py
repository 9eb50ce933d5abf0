"""The identity API in process, with tenants to act as. Builds what the wiring builds, for iam alone."""

from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Database, Scope
from galerne.iam.api_keys import endpoints as api_keys
from galerne.iam.api_keys.service import ApiKeyService
from galerne.iam.authenticate import KeyAuthenticator
from galerne.iam.bootstrap import ensure_operator
from galerne.iam.members import endpoints as members
from galerne.iam.members.service import MemberService
from galerne.iam.organizations import endpoints as organizations
from galerne.iam.organizations.service import OrganizationService
from galerne.iam.projects import endpoints as projects
from galerne.iam.projects.service import ProjectService
from galerne.iam.whoami import endpoints as whoami
from galerne.kit.clock import Clock
from galerne.rest import problems
from galerne.rest.provide import ApiContext

PEPPER = b"a pepper for tests, 32 bytes long"
PREFIX = "/api/v1"
Json = dict[str, Any]


def key_service(session: AsyncSession, clock: Clock) -> ApiKeyService:
    return ApiKeyService(
        session,
        clock,
        pepper=PEPPER,
        members=MemberService(session, clock),
        projects=ProjectService(session, clock),
    )


def iam_app(database: Database, clock: Clock) -> FastAPI:
    """Return an application with the routers of iam."""
    app = FastAPI()
    problems.install(app)
    for module in (organizations, projects, members, api_keys, whoami):
        app.include_router(module.router, prefix=PREFIX)
    app.state.context = ApiContext(
        database=database,
        authenticator=KeyAuthenticator(database, PEPPER, clock),
        clock=clock,
        providers={
            MemberService: lambda session: MemberService(session, clock),
            ProjectService: lambda session: ProjectService(session, clock),
            ApiKeyService: lambda session: key_service(session, clock),
            OrganizationService: lambda session: OrganizationService(
                session,
                clock,
                members=MemberService(session, clock),
                keys=key_service(session, clock),
            ),
        },
        shared={},
    )
    return app


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization as its first owner found it."""

    organization_id: str
    owner_id: str
    key_id: str
    secret: str


class World:
    """An API to call as somebody, and an operator who creates tenants."""

    def __init__(self, app: FastAPI, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        transport = httpx2.ASGITransport(app=app)
        self.client = httpx2.AsyncClient(transport=transport, base_url=f"http://api{PREFIX}")
        self.operator = ""

    async def begin(self) -> None:
        async with self.database.write(Scope.system()) as session:
            secret = await ensure_operator(session, clock=self.clock, pepper=PEPPER)
        assert secret is not None
        self.operator = secret

    async def send(
        self, secret: str, method: str, path: str, body: Json | None = None, **headers: str
    ) -> httpx2.Response:
        return await self.client.request(
            method,
            path,
            json=body,
            headers={
                "authorization": f"Bearer {secret}",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    async def call(
        self,
        secret: str,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        expect: int = 200,
    ) -> Json:
        """Send, insist on the status, and return the body."""
        response = await self.send(secret, method, path, body)
        assert response.status_code == expect, response.text
        return dict(response.json()) if response.content else {}

    async def tenant(self, name: str, country: str = "FR") -> Tenant:
        owner = {"email": f"owner@{name}.example", "name": "Ola Owner"}
        body = {"legal_name": name, "country": country, "owner": owner}
        made = await self.call(self.operator, "POST", "/organizations", body, expect=201)
        return Tenant(made["id"], made["owner"]["id"], made["api_key"]["id"], made["secret"])

    async def project(
        self, secret: str, name: str, residency: tuple[str, ...] = ("FR",), *, expect: int = 201
    ) -> Json:
        body = {"name": name, "label": {"residency": [*residency]}}
        return await self.call(secret, "POST", "/projects", body, expect=expect)

    async def key(self, secret: str, *, expect: int = 201, **terms: Any) -> Json:
        body = {"name": "a key", **terms}
        return await self.call(secret, "POST", "/api-keys", body, expect=expect)

    async def member(self, secret: str, role: str, *, expect: int = 201) -> Json:
        body = {"email": f"{role}@somewhere.example", "name": "Mia Member", "role": role}
        return await self.call(secret, "POST", "/members", body, expect=expect)

    async def key_of(self, secret: str, role: str) -> str:
        """Return a key's secret of a new member with `role`."""
        member = await self.member(secret, role)
        made = await self.key(secret, member_id=member["id"])
        return str(made["secret"])
