"""Builds sites, nodes and leases in a database, and an API over them."""

from typing import Any

import httpx2
from fastapi import FastAPI
from sqlalchemy import func, select

from galerne.catalog.accelerators import endpoints as accelerators
from galerne.catalog.sites import endpoints as sites
from galerne.catalog.sites.models import Site
from galerne.catalog.sites.schemas import SiteFacts
from galerne.catalog.sites.service import SiteService
from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.leases.service import LeaseService
from galerne.compute.nodes import endpoints as nodes
from galerne.compute.nodes.fleets import endpoints as fleets
from galerne.compute.nodes.fleets.schemas import FleetFile
from galerne.compute.nodes.fleets.service import FleetService
from galerne.compute.nodes.models import Holding, Node
from galerne.compute.nodes.service import NodeService
from galerne.compute.scheduling.scheduler import Scheduler
from galerne.db.session import Database, Scope
from galerne.drivers.base import NodeReport
from galerne.kit.clock import Clock
from galerne.rest import problems
from galerne.rest.errors import Unauthenticated
from galerne.rest.provide import ApiContext
from galerne.rest.subject import Subject
from galerne.sovereignty.labels import Label

GIGABYTE = 1_000_000_000
OPERATOR = "org_operator"
SCOPES = frozenset({"fleet:read", "fleet:write"})
SUBJECTS = {
    "operator": Subject(OPERATOR, "key_operator", SCOPES, is_operator=True),
    "tenant": Subject("org_a", "key_a", SCOPES),
    "guest": Subject("org_b", "key_b", frozenset()),
}


def report(name: str, *, cores: int = 4, gigabytes: int = 16) -> NodeReport:
    return NodeReport(
        name=name,
        cpu_millis=cores * 1000,
        memory_bytes=gigabytes * GIGABYTE,
        disk_bytes=100 * GIGABYTE,
        isolation=("cgroup v2: cpu, memory, pids",),
    )


async def add_site(
    database: Database, clock: Clock, name: str = "here", *, nodes: int = 0, **facts: Any
) -> Site:
    """Make a real site in France, with `nodes` nodes of four cores, named `<site>-1` and on."""
    stated = SiteFacts(
        name=name,
        country=facts.pop("country", "FR"),
        operator="Galerne",
        operator_id=OPERATOR,
        grid_zone="FRA",
        **facts,
    )
    async with database.write(Scope.system()) as session:
        site, _ = await SiteService(session, clock).ensure(stated)
        reports = [report(f"{name}-{number}") for number in range(1, nodes + 1)]
        await NodeService(session, clock).report(site, "local", reports)
    return site


def wanted(cores: int = 1, **others: Any) -> LeaseRequest:
    return LeaseRequest(
        cpu_millis=cores * 1000,
        memory_bytes=GIGABYTE,
        disk_bytes=GIGABYTE,
        label=others.pop("label", Label()),
        **others,
    )


async def ask(
    database: Database, clock: Clock, request: LeaseRequest, *, tenant: str = "a", times: int = 1
) -> list[str]:
    """Ask for leases as a project of `tenant`; return their ids."""
    async with database.write(Scope.system()) as session:
        service = LeaseService(session, clock)
        leases = [
            await service.request(
                request,
                organization_id=f"org_{tenant}",
                project_id=f"prj_{tenant}",
                workload_id=f"job_{tenant}{number}",
                unit_id=f"att_{tenant}{number}",
                actor="key_a",
            )
            for number in range(times)
        ]
    return [lease.id for lease in leases]


async def lease(database: Database, lease_id: str) -> CapacityLease:
    async with database.read(Scope.system()) as session:
        found = await session.get(CapacityLease, lease_id)
    assert found is not None
    return found


async def node(database: Database, name: str) -> Node:
    async with database.read(Scope.system()) as session:
        found = await session.scalar(select(Node).where(Node.name == name))
    assert found is not None
    return found


async def overcommitted(database: Database) -> list[str]:
    """Return the ids of nodes of which more is held than they have."""
    async with database.read(Scope.system()) as session:
        found = await session.scalars(
            select(Node.id)
            .join(Holding, Holding.node_id == Node.id)
            .group_by(Node.id)
            .having(
                (func.sum(Holding.cpu_millis) > Node.cpu_millis)
                | (func.sum(Holding.memory_bytes) > Node.memory_bytes)
                | (func.sum(Holding.accelerators) > Node.accelerators)
            )
        )
        return list(found)


async def schedule(database: Database, clock: Clock, **options: Any) -> int:
    return await Scheduler(database, clock, "worker-1", **options).run()


async def bring_in(database: Database, clock: Clock, fleet: dict[str, Any]) -> Any:
    async with database.write(SUBJECTS["operator"].scope) as session:
        return await FleetService(session, clock).bring_in(
            FleetFile.model_validate(fleet), organization_id=OPERATOR, actor="key_operator"
        )


def fleet_file(*, count: int = 2, cap: str = "40MW", name: str = "essonne") -> dict[str, Any]:
    """Return a fleet file of one site with `count` NVL72 racks."""
    racks = {
        "count": count,
        "nvlink_domain": True,
        "nodes": 18,
        "power": "132kW",
        "node": {"cpu": 144, "memory": "960GB", "disk": "7.68TB", "accelerators": "GB200:4"},
    }
    site = {
        "name": name,
        "country": "FR",
        "operator": "Galerne",
        "operator_subject_to": ["FR"],
        "grid_zone": "FRA",
        "pue": 1.2,
        "power_cap": cap,
        "racks": [racks],
    }
    return {"driver": "fake", "sites": [site]}


class Keys:
    """Knows three keys, named in `SUBJECTS`."""

    async def authenticate(self, secret: str) -> Subject:
        if secret not in SUBJECTS:
            raise Unauthenticated("unknown key")
        return SUBJECTS[secret]


def api(database: Database, clock: Clock) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    for module in (sites, accelerators, nodes, fleets):
        app.include_router(module.router, prefix="/api/v1")
    app.state.context = ApiContext(
        database=database,
        authenticator=Keys(),
        clock=clock,
        providers={
            SiteService: lambda session: SiteService(session, clock),
            NodeService: lambda session: NodeService(session, clock),
            FleetService: lambda session: FleetService(session, clock),
        },
        shared={},
    )
    return app


async def call(app: FastAPI, method: str, path: str, *, key: str = "operator", **body: Any) -> Any:
    """Send one request; return its response."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(
            method, f"/api/v1{path}", headers={"authorization": f"Bearer {key}"}, **body
        )
