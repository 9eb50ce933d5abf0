"""The usage and price endpoints in process, called as anybody the test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from fastapi import FastAPI

from galerne.billing.costs import endpoints as costs
from galerne.billing.costs.service import CostService
from galerne.billing.prices import endpoints as prices
from galerne.billing.prices.service import PriceService
from galerne.db.session import Database
from galerne.iam.projects.service import ProjectService
from galerne.kit.clock import Clock
from galerne.metering.usage import endpoints as usage
from galerne.metering.usage.service import UsageService
from galerne.rest import problems
from galerne.rest.provide import ApiContext
from galerne.rest.subject import Subject

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Known:
    """An authenticator that knows one subject, whatever the secret."""

    subject: Subject

    async def authenticate(self, secret: str) -> Subject:
        del secret
        return self.subject


@asynccontextmanager
async def api(
    database: Database, clock: Clock, subject: Subject
) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield a client that is `subject`."""
    app = FastAPI()
    problems.install(app)
    for module in (usage, costs, prices):
        app.include_router(module.router, prefix=PREFIX)
    app.state.context = ApiContext(
        database=database,
        authenticator=Known(subject),
        clock=clock,
        providers={
            UsageService: lambda session: UsageService(session, clock),
            CostService: lambda session: CostService(session, clock),
            PriceService: lambda session: PriceService(session, clock),
            ProjectService: lambda session: ProjectService(session, clock),
        },
        shared={},
    )
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url=f"http://galerne{PREFIX}",
        headers={"authorization": "Bearer known"},
    ) as client:
        yield client
