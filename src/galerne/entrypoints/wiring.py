"""Puts the parts together. The only module that names concrete drivers, runtimes and integrations."""

import platform as machine
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

import galerne
from galerne.billing.costs.service import CostService
from galerne.billing.prices.service import PriceService
from galerne.billing.quotes import PriceQuoter
from galerne.catalog.sites.service import SiteService
from galerne.compute.jobs.logs import JobLogs
from galerne.compute.jobs.service import JobService
from galerne.compute.leases.service import LeaseService
from galerne.compute.nodes.fleets.service import FleetService
from galerne.compute.nodes.service import NodeService
from galerne.compute.placing import Placing
from galerne.compute.scheduling.service import SchedulingService
from galerne.compute.staging import Stager
from galerne.config import Settings
from galerne.db.session import Database
from galerne.drivers.base import Driver
from galerne.drivers.fake.driver import FakeDriver
from galerne.drivers.local.driver import LocalDriver
from galerne.drivers.local.environments import Image, Requirements
from galerne.entrypoints.inputs import RegistryInputs
from galerne.entrypoints.secrets import ensure_pepper
from galerne.events.service import EventService
from galerne.iam.api_keys.service import ApiKeyService
from galerne.iam.authenticate import KeyAuthenticator
from galerne.iam.members.service import MemberService
from galerne.iam.organizations.service import OrganizationService
from galerne.iam.projects.service import ProjectService
from galerne.inference.deployments.logs import DeploymentLogs
from galerne.inference.deployments.service import DeploymentService
from galerne.integrations.objectstore.filesystem import FileObjectStore
from galerne.integrations.objectstore.trees import TreeLimits, Trees
from galerne.kit.clock import Clock, SystemClock
from galerne.metering.usage.service import UsageService
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.datasets.service import DatasetService
from galerne.registry.models.service import ModelService
from galerne.rest.provide import ApiContext, Providers
from galerne.runtimes.base import Runtime
from galerne.runtimes.fake.runtime import FakeRuntime
from galerne.runtimes.llamacpp.runtime import LlamaCppRuntime
from galerne.sovereignty.keys import LogSigner, ensure_signer
from galerne.sovereignty.proofs.service import ProofService

LOCAL = "local"
FAKE = "fake"
TRAIN_IMAGE = "galerne/train"
RUNTIME_IMAGE = "galerne/runtime"


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything that a process of the platform works with."""

    settings: Settings
    clock: Clock
    database: Database
    drivers: Mapping[str, Driver]
    runtimes: Mapping[str, Runtime]
    trees: Trees
    stager: Stager
    pepper: bytes
    signer: LogSigner

    @property
    def workspaces(self) -> Path:
        return self.settings.data_dir / "workspaces"


@asynccontextmanager
async def open_platform(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Platform]:
    """Open what a process needs; closes it at the end. Workloads go on without us."""
    clock = clock or SystemClock()
    data = settings.data_dir
    store = FileObjectStore(data / "objects")
    limits = TreeLimits(file_bytes_max=settings.registry.blob_bytes_max)
    trees = Trees(store, data / "trees", limits=limits)
    platform = Platform(
        settings=settings,
        clock=clock,
        database=Database(settings.database),
        drivers=_drivers(settings, clock),
        runtimes={"llamacpp": LlamaCppRuntime(), "fake": FakeRuntime()},
        trees=trees,
        stager=Stager(trees, data / "workspaces"),
        pepper=ensure_pepper(data / "keys" / "api-key-pepper"),
        signer=ensure_signer(data / "keys" / "log.ed25519"),
    )
    try:
        yield platform
    finally:
        for driver in platform.drivers.values():
            await driver.close()
        await platform.database.close()


def _drivers(settings: Settings, clock: Clock) -> Mapping[str, Driver]:
    data = settings.data_dir
    return {
        LOCAL: LocalDriver(data / "engine", _images(), clock, machine.node()),
        FAKE: FakeDriver(None, clock, journal_path=data / "simulated-engine.jsonl"),
    }


def _images() -> Mapping[str, Image]:
    package = Path(galerne.__file__).parent
    train = package / "drivers" / "local" / "images"
    return {
        TRAIN_IMAGE: Image(
            (
                Requirements(train / "torch.txt", hashed=False),
                Requirements(train / "train.txt"),
            )
        ),
        # Serving programs that ship with the package run in its own environment.
        RUNTIME_IMAGE: Image(prefix=Path(sys.prefix), readable=(package.parent,)),
    }


def api_context(platform: Platform, *, changed: Callable[[], None] = lambda: None) -> ApiContext:
    """Return what the API's routes work with; `changed` is called when a request has changed something."""
    database, clock, drivers = platform.database, platform.clock, platform.drivers
    shared: Mapping[type[Any], Any] = {
        JobLogs: JobLogs(database, drivers, clock),
        DeploymentLogs: DeploymentLogs(database, drivers, clock),
        Trees: platform.trees,
    }
    return ApiContext(
        database=database,
        authenticator=KeyAuthenticator(database, platform.pepper, clock),
        clock=clock,
        providers=providers(platform),
        shared=shared,
        changed=changed,
    )


def providers(platform: Platform) -> Providers:
    """Return how each service is built on a request's transaction."""
    clock = platform.clock
    return {
        ProjectService: lambda session: ProjectService(session, clock),
        MemberService: lambda session: MemberService(session, clock),
        ApiKeyService: lambda session: api_keys(platform, session),
        OrganizationService: lambda session: organizations(platform, session),
        SiteService: lambda session: SiteService(session, clock),
        NodeService: lambda session: NodeService(session, clock),
        FleetService: lambda session: FleetService(session, clock),
        LeaseService: lambda session: LeaseService(session, clock),
        SchedulingService: lambda session: SchedulingService(session, clock),
        JobService: lambda session: _jobs(platform, session),
        DeploymentService: lambda session: _deployments(platform, session),
        ArtifactService: lambda session: ArtifactService(session, clock),
        DatasetService: lambda session: DatasetService(session, clock),
        ModelService: lambda session: ModelService(session, clock, platform.trees),
        EventService: EventService,
        ProofService: lambda session: ProofService(session, platform.signer),
        UsageService: lambda session: UsageService(session, clock),
        PriceService: lambda session: PriceService(session, clock),
        CostService: lambda session: CostService(session, clock),
    }


def api_keys(platform: Platform, session: AsyncSession) -> ApiKeyService:
    clock = platform.clock
    return ApiKeyService(
        session,
        clock,
        pepper=platform.pepper,
        members=MemberService(session, clock),
        projects=ProjectService(session, clock),
    )


def organizations(platform: Platform, session: AsyncSession) -> OrganizationService:
    return OrganizationService(
        session,
        platform.clock,
        members=MemberService(session, platform.clock),
        keys=api_keys(platform, session),
    )


def _placing(platform: Platform, session: AsyncSession) -> Placing:
    return Placing(
        session,
        platform.clock,
        scheduling=SchedulingService(session, platform.clock),
        quoter=PriceQuoter(platform.clock),
    )


def _jobs(platform: Platform, session: AsyncSession) -> JobService:
    clock = platform.clock
    return JobService(
        session,
        clock,
        projects=ProjectService(session, clock),
        leases=LeaseService(session, clock),
        placing=_placing(platform, session),
        inputs=RegistryInputs(clock, platform.trees),
    )


def _deployments(platform: Platform, session: AsyncSession) -> DeploymentService:
    clock = platform.clock
    return DeploymentService(
        session,
        clock,
        projects=ProjectService(session, clock),
        models=ModelService(session, clock, platform.trees),
        leases=LeaseService(session, clock),
        placing=_placing(platform, session),
        runtimes=platform.runtimes,
    )
