"""The worker process: every reconciler and the scheduler, pass after pass. Run as many as you like."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from galerne.catalog.sites.service import SiteService
from galerne.compute.jobs.reconciler import JobReconciler
from galerne.compute.nodes.service import NodeService
from galerne.compute.scheduling.scheduler import Scheduler
from galerne.config import ListenSettings
from galerne.db.session import Scope
from galerne.entrypoints.arguments import settings_from
from galerne.entrypoints.operations import operations_app
from galerne.entrypoints.outbox import handlers
from galerne.entrypoints.serving import Served, run, serve
from galerne.entrypoints.storage import ArtifactSizes
from galerne.entrypoints.wiring import LOCAL, RUNTIME_IMAGE, Platform, open_platform
from galerne.events.sequencer import Sequencer
from galerne.inference.deployments.reconciler import DeploymentReconciler
from galerne.inference.deployments.replicas import ReplicaReconciler
from galerne.metering.storage import StorageMeter
from galerne.telemetry import configure_logging
from galerne.worker.loop import Loop, Wakeup
from galerne.worker.outbox import OutboxDispatcher
from galerne.worker.reconciler import Pass, Reconciler

NODES_SECONDS = 30.0
NODE_UNSEEN_SECONDS_MAX = 120.0
SEQUENCE_SECONDS = 1.0
STORAGE_SECONDS = 300.0
_log = structlog.get_logger("galerne.worker")


def loops(platform: Platform, wakeup: Wakeup) -> Sequence[Loop]:
    """Return every loop of one worker."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    clock, database = platform.clock, platform.database
    idle = platform.settings.worker.idle_seconds

    def loop(name: str, run: Callable[[], Awaitable[int]], idle_seconds: float = idle) -> Loop:
        return Loop(name, run, clock=clock, wakeup=wakeup, idle_seconds=idle_seconds)

    reconcilers: Sequence[Reconciler[Any, Any, Any]] = (
        JobReconciler(platform.drivers, platform.stager, clock),
        DeploymentReconciler(clock),
        ReplicaReconciler(
            platform.drivers,
            platform.runtimes,
            workspaces=platform.workspaces,
            image=RUNTIME_IMAGE,
            clock=clock,
        ),
        OutboxDispatcher(handlers(platform)),
    )
    passes = [
        loop(each.kind, Pass(each, database=database, clock=clock, owner=owner).run)
        for each in reconcilers
    ]
    storage = StorageMeter(database, clock, ArtifactSizes(clock))
    sequencer = Sequencer(database, clock, platform.signer, owner=owner)
    return (
        *passes,
        loop("scheduler", Scheduler(database, clock, owner).run),
        loop("sequencer", sequencer.run, SEQUENCE_SECONDS),
        loop("storage", storage.run, STORAGE_SECONDS),
    )


async def report_nodes(platform: Platform) -> None:
    """Write down what this machine is, for the scheduler."""
    reports = await platform.drivers[LOCAL].nodes()
    async with platform.database.write(Scope.system()) as session:
        site = await SiteService(session, platform.clock).by_name(platform.settings.site.name)
        nodes = NodeService(session, platform.clock)
        await nodes.report(site, LOCAL, reports)
        await nodes.lose_unseen(LOCAL, unseen_seconds=NODE_UNSEEN_SECONDS_MAX)


async def work(platform: Platform, stop: asyncio.Event, wakeup: Wakeup) -> None:
    """Run every loop until `stop`; each finishes the pass that it is in."""
    running = loops(platform, wakeup)
    tasks = [asyncio.create_task(each.run(), name=each.name) for each in running]
    nodes = asyncio.create_task(_keep_reporting(platform))
    _log.info("worker_started", loops=[each.name for each in running])
    await stop.wait()
    for each in running:
        each.stop()
    nodes.cancel()
    await asyncio.gather(nodes, *tasks, return_exceptions=True)
    _log.info("worker_stopped")


async def _keep_reporting(platform: Platform) -> None:
    while True:
        try:
            await report_nodes(platform)
        except Exception:  # noqa: BLE001 - the loop's edge: shown, and tried again
            _log.exception("node_report_failed")
        await platform.clock.sleep(NODES_SECONDS)


def _probes(platform: Platform) -> Sequence[Served]:
    """Return health and metrics where they have a port; in `galerne up` the API's own serve."""
    worker = platform.settings.worker
    if worker.port is None:
        return []
    listen = ListenSettings(host=worker.host, port=worker.port)
    return [Served("worker", operations_app(platform.database), listen)]


def main(argv: Sequence[str]) -> int:
    """Run `galerne worker`."""
    settings = settings_from("galerne worker", main.__doc__ or "", argv)
    configure_logging(level=settings.log.level, as_json=settings.log.format == "json")

    async def process() -> None:
        async with open_platform(settings) as platform:
            wakeup = Wakeup()
            await serve(_probes(platform), background=[lambda stop: work(platform, stop, wakeup)])

    run(process())
    return 0
