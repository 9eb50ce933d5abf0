"""A whole platform in one process, driven by hand: the real API, the real reconcilers, the fake engine.

Nothing runs by itself: `Cloud.work` runs passes until nobody has anything to do, and `Cloud.advance` moves
the clock. So a story can stop between any two steps, kill what stands there, and go on.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from galerne.catalog.sites.schemas import SiteFacts
from galerne.catalog.sites.service import SiteService
from galerne.compute.jobs.reconciler import JobReconciler
from galerne.compute.nodes.service import NodeService
from galerne.compute.scheduling.scheduler import Scheduler
from galerne.config import Settings
from galerne.db.session import Scope
from galerne.drivers.base import AcceleratorReport, Driver, NodeReport
from galerne.drivers.fake.driver import FakeDriver
from galerne.drivers.fake.simulation import Timing
from galerne.entrypoints.api import build_app
from galerne.entrypoints.outbox import handlers
from galerne.entrypoints.preparation import seed
from galerne.entrypoints.wiring import Platform, api_context, open_platform
from galerne.inference.deployments.reconciler import DeploymentReconciler
from galerne.inference.deployments.replicas import ReplicaReconciler
from galerne.kit.clock import ManualClock
from galerne.worker.outbox import OutboxDispatcher
from galerne.worker.reconciler import Pass, Reconciler

Json = dict[str, Any]
ROUNDS_MAX = 200
CLAIM_SECONDS = 30.0


class Killed(BaseException):
    """The worker process dies here. Not an Exception: no handler of ours may catch a SIGKILL."""


class MortalPass(Pass[Any, Any, Any]):
    """A pass that can be killed after its claim, or after its act and before anything is written."""

    kill_after: str | None = None

    async def _claim(self, held: Any) -> Any:
        loaded = await super()._claim(held)
        if loaded and self.kill_after == "claim":
            raise Killed
        return loaded

    async def _apply(self, held: Any, loaded: Any, learnt: Any) -> Any:
        if self.kill_after == "act":
            raise Killed
        return await super()._apply(held, loaded, learnt)


class Cloud:
    """The platform, its operator's key, and the hand that moves it."""

    def __init__(self, platform: Platform, clock: ManualClock, engine: FakeDriver) -> None:
        self.platform = platform
        self.clock = clock
        self.engine = engine
        self.app = build_app(api_context(platform))
        self.operator_key = ""
        self.steps = 0  # Passes run so far: the places where a worker can die.

    def client(self, key: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app),
            base_url="http://galerne/api/v1",
            headers={"authorization": f"Bearer {key}"},
        )

    async def tenant(self, name: str = "Université d'essai", label: Sequence[str] = ("FR",)) -> str:
        """Create an organization with one project; return its owner's key."""
        async with self.client(self.operator_key) as operator:
            made = await operator.post(
                "/organizations",
                json={
                    "legal_name": name,
                    "country": "FR",
                    "owner": {"email": "owner@example.fr", "name": "Owner"},
                },
            )
            assert made.status_code == 201, made.text
        key = str(made.json()["secret"])
        async with self.client(key) as owner:
            project = await owner.post(
                "/projects", json={"name": "main", "label": {"residency": list(label)}}
            )
            assert project.status_code == 201, project.text
        return key

    def reconcilers(self) -> Sequence[Reconciler[Any, Any, Any]]:
        platform = self.platform
        return (
            JobReconciler(platform.drivers, platform.stager, platform.clock),
            DeploymentReconciler(platform.clock),
            ReplicaReconciler(
                platform.drivers,
                platform.runtimes,
                workspaces=platform.workspaces,
                image="galerne/runtime",
                clock=platform.clock,
            ),
            OutboxDispatcher(handlers(platform)),
        )

    def mortal(self, reconciler: Reconciler[Any, Any, Any], owner: str) -> MortalPass:
        return MortalPass(
            reconciler,
            database=self.platform.database,
            clock=self.clock,
            owner=owner,
            claim_seconds=CLAIM_SECONDS,
        )

    async def work(self, *, kill_at: tuple[int, str] | None = None) -> None:
        """Run passes until none has work. `kill_at` names a step, and where in it the worker dies."""
        database, clock = self.platform.database, self.clock
        for _ in range(ROUNDS_MAX):
            worked = await Scheduler(database, clock, "worker").run()
            for reconciler in self.reconcilers():
                one = self.mortal(reconciler, "worker")
                if kill_at is not None and self.steps == kill_at[0]:
                    one.kill_after = kill_at[1]
                looked_at = await one.run()
                self.steps += bool(looked_at)
                worked += looked_at
            if not worked:
                return
        raise AssertionError(f"still working after {ROUNDS_MAX} rounds")

    async def lose(self, node_name: str) -> None:
        """Let a node die, and let its site's report say so."""
        self.engine.kill_node(node_name)
        seen = await self.engine.nodes()
        async with self.platform.database.write(Scope.system()) as session:
            nodes = NodeService(session, self.clock)
            self.clock.advance(60)
            for site in await SiteService(session, self.clock).list():
                here = [report for report in seen if report.name.startswith(f"{site.name}-")]
                await nodes.report(site, "fake", here)
            await nodes.lose_unseen("fake", unseen_seconds=30)

    async def advance(self, seconds: float, *, kill_at: tuple[int, str] | None = None) -> None:
        self.clock.advance(seconds)
        await self.work(kill_at=kill_at)


def node(name: str, *, cpu: int = 8, gpus: int = 0) -> NodeReport:
    return NodeReport(
        name=name,
        cpu_millis=cpu * 1000,
        memory_bytes=64_000_000_000,
        disk_bytes=1_000_000_000_000,
        accelerators=(AcceleratorReport("H100", gpus, 80_000_000_000),) if gpus else (),
    )


SITES: Mapping[str, tuple[SiteFacts, tuple[NodeReport, ...]]] = {
    name: (
        SiteFacts(
            name=name,
            country=country,
            operator="Essai",
            operator_id="",
            operator_subject_to=subject_to,
            jurisdictions=(country,),
            grid_zone=zone,
            pue_milli=1200,
        ),
        tuple(node(f"{name}-{n}") for n in range(1, 4)),
    )
    for name, country, zone, subject_to in (
        ("brest", "FR", "FRA", ()),
        ("zurich", "CH", "CHE", ()),
        ("dublin", "IE", "IRL", ("US",)),
    )
}


@asynccontextmanager
async def cloud(database_url: str, folder: Path, clock: ManualClock) -> AsyncIterator[Cloud]:
    """Open a platform on an empty database, with three small sites on the fake engine."""
    settings = Settings(data_dir=folder / "data", database_url=database_url)
    async with open_platform(settings, clock) as opened:
        nodes = [report for _, reports in SITES.values() for report in reports]
        engine = FakeDriver(
            nodes,
            clock,
            timing=Timing(start_seconds=0, run_seconds=30, stop_seconds=0),
            journal_path=folder / "engine.jsonl",
        )
        drivers: Mapping[str, Driver] = {**opened.drivers, "fake": engine}
        made = Cloud(replace(opened, drivers=drivers), clock, engine)
        made.operator_key = await seed(made.platform) or ""
        async with made.platform.database.write(Scope.system()) as session:
            await _furnish(session, clock)
        yield made


async def _furnish(session: Any, clock: ManualClock) -> None:
    sites = SiteService(session, clock)
    operator_id = (await sites.list())[0].operator_id
    for facts, reports in SITES.values():
        site, _ = await sites.ensure(replace(facts, operator_id=operator_id))
        await session.flush()
        await NodeService(session, clock).report(site, "fake", reports)
