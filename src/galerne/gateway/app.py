"""Puts the gateway together and serves it as a bare ASGI application; a framework would cost more.

The caller runs it under uvicorn with `settings.uvicorn_options`, and supplies where snapshots come from
and where usage goes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import structlog

from galerne.gateway.accounting import Accountant
from galerne.gateway.asgi import Application, Receive, Scope, Send, answer
from galerne.gateway.chat import endpoints as chat
from galerne.gateway.completions import endpoints as completions
from galerne.gateway.errors import ApiError
from galerne.gateway.exchange import Keeper
from galerne.gateway.forwarding import Forwarder
from galerne.gateway.journal import Journal
from galerne.gateway.limits import Limits
from galerne.gateway.metrics import GatewayMetrics
from galerne.gateway.models import endpoints as models
from galerne.gateway.operations import endpoints as operations
from galerne.gateway.parts import Parts
from galerne.gateway.routing import Router
from galerne.gateway.settings import GatewaySettings
from galerne.gateway.shipping import Shipper, UsageSink
from galerne.gateway.snapshot import Snapshot, SnapshotHolder, SnapshotSource
from galerne.gateway.upstream.pool import UpstreamPool
from galerne.kit.clock import Clock

FINAL_SHIP_SECONDS_MAX = 5.0
_log = structlog.get_logger("galerne.gateway")


class Gateway:
    """The ASGI application, with its lifespan."""

    def __init__(
        self, settings: GatewaySettings, source: SnapshotSource, sink: UsageSink, clock: Clock
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._pool = UpstreamPool(
            connect_seconds_max=settings.connect_seconds_max,
            buffer_bytes_max=settings.stream_buffer_bytes_max,
            idle_connections_max=settings.upstream_idle_connections_max,
            idle_seconds_max=settings.upstream_idle_seconds_max,
        )
        self._journal = Journal(
            settings.journal_directory, segment_bytes_max=settings.journal_segment_bytes_max
        )
        self._shipper = Shipper(self._journal, sink, clock, settings)
        self.parts = self._assemble(source)
        self._routes: dict[str, dict[str, Application]] = {
            **chat.routes(self.parts),
            **completions.routes(self.parts),
            **models.routes(self.parts),
            **operations.routes(self.parts),
        }

    def _assemble(self, source: SnapshotSource) -> Parts:
        settings, clock = self._settings, self._clock
        snapshots = SnapshotHolder(
            source,
            clock,
            refresh_seconds=settings.snapshot_refresh_seconds,
            load_seconds_max=settings.snapshot_load_seconds_max,
            on_change=self._snapshot_changed,
        )
        router, keeper = Router(clock), Keeper(settings)
        metrics = GatewayMetrics(self._gauges(snapshots, keeper))
        return Parts(
            settings=settings,
            clock=clock,
            snapshots=snapshots,
            limits=Limits(
                requests_max=settings.inflight_requests_max,
                body_bytes_max=settings.body_bytes_max,
                inflight_body_bytes_max=settings.inflight_body_bytes_max,
            ),
            keeper=keeper,
            forwarder=Forwarder(self._pool, router, metrics),
            accountant=Accountant(self._journal, self._shipper, metrics, router, clock),
            metrics=metrics,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        assert scope["type"] == "http"
        path = scope["path"]
        methods = self._routes.get(path)
        if methods is None and path.startswith(models.PREFIX):
            methods = self._routes[models.PREFIX]
        if methods is None:
            await _no_route(404, "not_found", f"There is no '{path[:200]}' here.", send)
            return
        endpoint = methods.get(scope["method"])
        if endpoint is None:
            message = f"Use {' or '.join(methods)} on '{path[:200]}'."
            await _no_route(405, "method_not_allowed", message, send)
            return
        await endpoint(scope, receive, send)

    def begin_drain(self) -> None:
        """Answer /readyz with 503 from now on, so that a balancer sends requests elsewhere."""
        self.parts.keeper.draining = True

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            running = self._running()
            await running.__aenter__()
        except OSError as error:
            _log.error("gateway_cannot_start", error=str(error))
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await running.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """Run the background tasks; on leaving, ship and flush what is left."""
        recovery = await asyncio.to_thread(self._journal.open)
        _log.info("journal_opened", records=recovery.records, dropped_bytes=recovery.dropped_bytes)
        self._shipper.begin()
        self.parts.keeper.tick()
        await self.parts.snapshots.refresh()
        tasks = [
            asyncio.create_task(self._supervise(name, work))
            for name, work in (
                ("snapshots", self.parts.snapshots.run),
                ("journal", self._shipper.commit_forever),
                ("shipping", self._shipper.ship_forever),
                ("keeper", self._keep),
            )
        ]
        try:
            yield
        finally:
            self.begin_drain()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._pool.close()
            self.parts.accountant.retry_unwritten()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FINAL_SHIP_SECONDS_MAX):
                    await self._shipper.ship()
            await asyncio.to_thread(self._journal.close)

    async def _supervise(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a background task for ever: a defect in one pass must not end it."""
        while True:
            try:
                await work()
            except Exception:  # noqa: BLE001 - it is logged, and the work begins again
                _log.exception("background_task_failed", task=name)
                await self._clock.sleep(1.0)

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(self._settings.tick_seconds)
            self.parts.keeper.tick()
            self._pool.sweep()
            self.parts.accountant.retry_unwritten()

    def _snapshot_changed(self, snapshot: Snapshot) -> None:
        self._pool.keep_only(snapshot.base_urls())
        _log.info("snapshot_changed", version=snapshot.version, keys=len(snapshot.keys))

    def _gauges(
        self, snapshots: SnapshotHolder, keeper: Keeper
    ) -> Mapping[str, tuple[str, Callable[[], float | None]]]:
        return {
            "requests_in_flight": ("Requests being answered", lambda: len(keeper)),
            "upstream_connections": (
                "Connections to replicas",
                lambda: self._pool.open_connections,
            ),
            "journal_pending_records": (
                "Usage records not yet shipped",
                lambda: self._journal.pending_records,
            ),
            "journal_unwritten_records": (
                "Usage records that the disk refused",
                lambda: self.parts.accountant.unwritten_records,
            ),
            "shipping_failures": (
                "Failures to ship usage, in a row",
                lambda: self._shipper.failures,
            ),
            "snapshot_age_seconds": (
                "Since the control plane last confirmed the policy",
                lambda: snapshots.age_seconds,
            ),
            "snapshot_failures": (
                "Failures to refresh the policy, in a row",
                lambda: snapshots.failures,
            ),
        }


def build_app(
    settings: GatewaySettings, source: SnapshotSource, sink: UsageSink, clock: Clock
) -> Gateway:
    """Build the gateway: an ASGI application to be run with lifespan on."""
    return Gateway(settings, source, sink, clock)


async def _no_route(status: int, code: str, message: str, send: Send) -> None:
    error = ApiError(status, code, f"{message} The API begins at /v1/models.")
    await answer(send, status, error.body(), error.headers())
