"""Runs ASGI applications and background work in one event loop, and ends them in order on a signal."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
import uvicorn
import uvloop

from galerne.config import ListenSettings
from galerne.entrypoints.failures import (
    ApplicationFailedError,
    CannotListenError,
    StartError,
    end,
)

GRACE_SECONDS = 30
START_SECONDS_MAX = 30
_log = structlog.get_logger("galerne.process")


@dataclass(frozen=True, slots=True)
class Served:
    """One application and where it listens."""

    name: str
    app: Any  # ASGI; uvicorn's own type is as wide.
    listen: ListenSettings
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.listen.url


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: there are several servers in the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a process's work on the fastest event loop. Where it cannot start, end with the reason."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
    except StartError as error:
        end(str(error), code=error.code, hint=error.hint)


async def serve(
    served: Sequence[Served], *, background: Sequence[Callable[[asyncio.Event], Any]] = ()
) -> None:
    """Serve until SIGTERM or SIGINT; then let requests end, then background work."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(served):
        tasks = [asyncio.create_task(work(stop)) for work in background]
        for each in served:
            _log.info("listening", process=each.name, url=each.url)
        waiting = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        _log.info("stopping")
        for task in done - {waiting}:
            task.result()  # Background work never ends by itself: show why it did.
        await asyncio.gather(*tasks)
        waiting.cancel()
    _log.info("stopped")


@asynccontextmanager
async def running(served: Sequence[Served]) -> AsyncIterator[None]:
    """Start every server, and stop it on leaving. Raises `CannotListenError`."""
    servers = [_Server(_config(each)) for each in served]
    tasks = [asyncio.create_task(_serve(server)) for server in servers]
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            for each, server, task in zip(served, servers, tasks, strict=True):
                await _started(each, server, task)
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


async def _serve(server: _Server) -> None:
    try:
        await server.serve()
    except SystemExit:
        return  # Uvicorn's way to say that it could not start; `_started` says it better.


async def _started(each: Served, server: _Server, task: asyncio.Task[None]) -> None:
    while not server.started:
        if task.done():
            if server.lifespan.should_exit:
                raise ApplicationFailedError(f"{each.name} could not start")
            raise CannotListenError(
                f"{each.name} cannot listen on {each.url}: is something else listening there?"
            )
        await asyncio.sleep(0.01)


def _config(each: Served) -> uvicorn.Config:
    options: dict[str, Any] = {"access_log": False, "timeout_graceful_shutdown": GRACE_SECONDS}
    return uvicorn.Config(
        each.app,
        host=each.listen.host,
        port=each.listen.port,
        log_config=None,
        lifespan="on" if each.options.get("lifespan") == "on" else "auto",
        **{**options, **{k: v for k, v in each.options.items() if k != "lifespan"}},
    )
