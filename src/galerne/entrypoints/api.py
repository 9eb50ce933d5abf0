"""The control plane's HTTP process: every noun's router under /api/v1, health and metrics beside it."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

import galerne
from galerne.billing.costs.endpoints import router as costs
from galerne.billing.prices.endpoints import router as prices
from galerne.catalog.accelerators.endpoints import router as accelerators
from galerne.catalog.sites.endpoints import router as sites
from galerne.compute.jobs.endpoints import log_router as job_logs
from galerne.compute.jobs.endpoints import router as jobs
from galerne.compute.nodes.endpoints import router as nodes
from galerne.compute.nodes.fleets.endpoints import router as fleets
from galerne.config import ListenSettings
from galerne.entrypoints.arguments import settings_from
from galerne.entrypoints.description import ERRORS, DescribedApp
from galerne.entrypoints.operations import operations_router
from galerne.entrypoints.request_log import RequestLog
from galerne.entrypoints.serving import Served, run, serve
from galerne.entrypoints.wiring import api_context, open_platform
from galerne.events.endpoints import router as events
from galerne.iam.api_keys.endpoints import router as api_keys
from galerne.iam.members.endpoints import router as members
from galerne.iam.organizations.endpoints import router as organizations
from galerne.iam.projects.endpoints import router as projects
from galerne.iam.whoami.endpoints import router as whoami
from galerne.inference.deployments.endpoints import log_router as deployment_logs
from galerne.inference.deployments.endpoints import router as deployments
from galerne.metering.usage.endpoints import router as usage
from galerne.registry.artifacts.endpoints import blob_router as blobs
from galerne.registry.artifacts.endpoints import router as artifacts
from galerne.registry.datasets.endpoints import router as datasets
from galerne.registry.models.endpoints import router as models
from galerne.rest import problems
from galerne.rest.body_limit import BodyLimit
from galerne.rest.provide import ApiContext
from galerne.sovereignty.proofs.endpoints import router as proofs
from galerne.telemetry import configure_logging

GRACE_SECONDS = 5  # For requests in flight when the process is told to end.
ROUTERS: Sequence[APIRouter] = (
    whoami,
    organizations,
    projects,
    members,
    api_keys,
    sites,
    accelerators,
    nodes,
    fleets,
    job_logs,
    jobs,
    deployment_logs,
    deployments,
    blobs,
    artifacts,
    datasets,
    models,
    usage,
    costs,
    prices,
    events,
    proofs,
)
BLOBS = "/api/v1/blobs/"


def build_app(context: ApiContext) -> FastAPI:
    """Build the application. The context's database need not be up yet: /readyz says when it is."""
    app = DescribedApp(
        title="Galerne",
        version=galerne.__version__,
        description="A sovereign AI cloud: from bare metal to LLM API.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # Its page would load scripts from elsewhere; nothing calls home.
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        responses=ERRORS,
    )
    app.state.context = context
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.include_router(operations_router(context.database))
    app.add_middleware(BodyLimit, unbounded=[BLOBS])
    app.add_middleware(RequestLog, process="api")
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def api_served(context: ApiContext, listen: ListenSettings) -> Served:
    """Build the API for this installation."""
    # What is asked here takes moments, but for logs that are followed: those are asked for again.
    options = {"timeout_graceful_shutdown": GRACE_SECONDS}
    return Served("api", build_app(context), listen, options=options)


def main(argv: Sequence[str]) -> int:
    """Run `galerne api`."""
    settings = settings_from("galerne api", main.__doc__ or "", argv)
    configure_logging(level=settings.log.level, as_json=settings.log.format == "json")

    async def process() -> None:
        async with open_platform(settings) as platform:
            await serve([api_served(api_context(platform), settings.api)])

    run(process())
    return 0
