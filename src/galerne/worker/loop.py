"""Runs passes again and again until told to stop: at once where there was work, else after a pause."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter, Gauge

from galerne.kit.clock import Clock
from galerne.worker.claims import backoff_seconds

_log = structlog.get_logger(__name__)
_errors = Counter("galerne_loop_errors_total", "Passes that could not run at all", ["loop"])
_last_pass = Gauge("galerne_loop_last_pass_timestamp_seconds", "When the loop last ran", ["loop"])


class Wakeup:
    """Ends the pauses of this process's loops early, when a request or another loop made work.

    Other processes' loops find that work after their own pause: nothing depends on being woken.
    """

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    def wake(self) -> None:
        for event in self._waiting:
            event.set()

    def subscribe(self) -> asyncio.Event:
        """Return an event of the caller's own, so that no loop clears what another waits for."""
        event = asyncio.Event()
        self._waiting.append(event)
        return event


class Loop:
    """One repeated pass, as `async () -> rows looked at`."""

    def __init__(
        self,
        name: str,
        run: Callable[[], Awaitable[int]],
        *,
        clock: Clock,
        wakeup: Wakeup,
        idle_seconds: float,
    ) -> None:
        self.name = name
        self._run = run
        self._clock = clock
        self._wakeup = wakeup
        self._woken = wakeup.subscribe()
        self._idle_seconds = idle_seconds
        self._stopping = False

    async def run(self) -> None:
        """Pass after pass until `stop`. An error backs off and is shown; it never ends the loop."""
        failures = 0
        while not self._stopping:
            self._woken.clear()
            try:
                worked = await self._run()
            except Exception as error:  # noqa: BLE001 - the loop's edge: log, count, back off
                failures += 1
                _errors.labels(self.name).inc()
                pause = backoff_seconds(failures)
                _log.exception(
                    "loop_failed", loop=self.name, retry_in_seconds=pause, error=str(error)
                )
            else:
                failures = 0
                _last_pass.labels(self.name).set(self._clock.now().timestamp())
                pause = 0.0 if worked else self._idle_seconds
                if worked:
                    self._wakeup.wake()
            if pause and not self._stopping:
                await self._wait(pause)
            else:
                await asyncio.sleep(0)

    def stop(self) -> None:
        """Finish the pass that runs, then return."""
        self._stopping = True
        self._woken.set()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
