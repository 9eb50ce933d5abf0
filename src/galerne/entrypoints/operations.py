"""What operators and their tools ask of a process: is it alive, is it ready, what does it count."""

import asyncio

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

import galerne
from galerne.db.session import Database

DATABASE_SECONDS_MAX = 2.0


class Health(BaseModel):
    """What a probe is told."""

    state: str
    version: str


def operations_router(database: Database) -> APIRouter:
    """Return /healthz, /readyz and /metrics. They need no key: keep them off the public address."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Health:
        """Say that the process is alive. Asks nobody."""
        return Health(state="alive", version=galerne.__version__)

    @router.get("/readyz")
    async def readyz(response: Response) -> Health:
        """Say whether work can be done: the database must be there."""
        try:
            async with asyncio.timeout(DATABASE_SECONDS_MAX):
                await database.ping()
        except Exception:  # noqa: BLE001 - whatever ails the database, we are not ready
            response.status_code = 503
            return Health(state="database_unavailable", version=galerne.__version__)
        return Health(state="ready", version=galerne.__version__)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def operations_app(database: Database) -> FastAPI:
    """Return an application for a process that has no other: the worker."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(operations_router(database))
    return app
