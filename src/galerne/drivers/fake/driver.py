"""A simulated fleet: any nodes, any number of launches, any fault, and no process at all.

Time comes from the clock alone, so a test moves it and a demo lets it run. Faults are methods: `kill_node`,
`revive_node`, `fail`, `lose`; what a launch itself does is in its environment (`simulation`). It has no
opinion on capacity: placement is decided above.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from galerne.drivers.base import (
    Driver,
    Exit,
    ExitCause,
    Launch,
    LogChunk,
    NodeReport,
    Observation,
    Phase,
)
from galerne.drivers.errors import EngineUnavailable, LaunchRefused, NotYet
from galerne.drivers.fake.journal import Journal
from galerne.drivers.fake.simulation import Run, Timing
from galerne.kit.clock import Clock

_ABSENT = Observation(Phase.ABSENT)


class FakeDriver(Driver):
    """An engine whose nodes, delays and faults are given."""

    name: ClassVar[str] = "fake"
    multinode: ClassVar[bool] = True

    def __init__(
        self,
        nodes: Sequence[NodeReport] | None,
        clock: Clock,
        *,
        timing: Timing | None = None,
        journal_path: Path | None = None,
    ) -> None:
        """Simulate `nodes`; launches live in memory, and in `journal_path` where one is given.

        None simulates whatever nodes placement names: those of fleets that were imported.
        """
        self._takes_any_node = nodes is None
        self._nodes = {node.name: node for node in nodes or ()}
        self._dead: set[str] = set()
        self._clock = clock
        self._timing = timing or Timing()
        self._unavailable_until = 0.0
        self._runs: dict[str, Run] = {}
        self._ended: dict[str, Observation] = {}
        self._journal = None if journal_path is None else Journal(journal_path)
        for handle, record in self._journal.replay() if self._journal else ():
            if record is None:
                self._runs.pop(handle, None)
            else:
                self._runs[handle] = Run.restore(record)

    async def nodes(self) -> Sequence[NodeReport]:
        self._reach()
        return [node for name, node in self._nodes.items() if name not in self._dead]

    async def submit(self, launch: Launch) -> None:
        now = self._reach()
        if launch.handle in self._runs:
            return
        known = self._takes_any_node or set(launch.nodes) <= self._nodes.keys()
        if not launch.nodes or not known:
            unknown = ", ".join(set(launch.nodes) - self._nodes.keys()) or "none at all"
            raise LaunchRefused(
                f"the fleet has no such node: {unknown}",
                code="node_unknown",
                hint="ask for nodes that the driver reports",
            )
        run = Run.plan(launch, self._timing, now=now)
        if self._dead.intersection(launch.nodes):
            run.end(_node_died(), at=now)
        self._runs[launch.handle] = run
        self._save(launch.handle)

    async def observe(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        now = self._reach()
        ended, runs = self._ended, self._runs
        observations = {}
        for handle in handles:
            observation = ended.get(handle)
            if observation is None:
                run = runs.get(handle)
                observation = _ABSENT if run is None else run.observe(now)
                if observation.phase is Phase.ENDED:
                    ended[handle] = observation
            observations[handle] = observation
        return observations

    async def stop(self, handle: str, *, grace_seconds: int) -> None:
        now = self._reach()
        run = self._runs.get(handle)
        if run is not None and not run.has_ended(now):
            run.stop(now=now, grace_seconds=grace_seconds)
            self._save(handle)

    async def forget(self, handle: str) -> None:
        now = self._reach()
        run = self._runs.get(handle)
        if run is None:
            return
        if not run.has_ended(now):
            raise NotYet(f"launch {handle} has not ended; stop it before forgetting it")
        self.lose(handle)

    async def read_log(self, handle: str, *, offset: int, bytes_max: int) -> LogChunk:
        now = self._reach()
        run = self._runs.get(handle)
        if run is None:
            return LogChunk(b"", offset, complete=True)
        log = run.log(now)
        begin = max(offset, len(log) - run.log_bytes_max)
        data = log[begin : begin + bytes_max]
        next_offset = begin + len(data)
        dropped = begin - offset
        notice = f"[fake] {dropped} bytes of output were dropped here\n" if dropped else ""
        return LogChunk(
            data=notice.encode() + data,
            next_offset=next_offset,
            dropped_bytes=dropped,
            complete=run.has_ended(now) and next_offset >= len(log),
        )

    def kill_node(self, name: str) -> None:
        """Let a node die with all that runs on it; it is not reported until `revive_node`."""
        self._dead.add(name)
        now = self._now()
        for handle, run in self._runs.items():
            if name in run.nodes and not run.has_ended(now):
                run.end(_node_died(), at=now)
                self._save(handle)

    def revive_node(self, name: str) -> None:
        """Bring a dead node back, empty."""
        self._dead.discard(name)

    def fail(self, seconds: float) -> None:
        """Let the engine not answer for a while; its launches go on meanwhile."""
        self._unavailable_until = self._now() + seconds

    def lose(self, handle: str) -> None:
        """Let the engine forget a launch as if it had never been there."""
        self._runs.pop(handle, None)
        self._ended.pop(handle, None)
        self._save(handle)

    def _save(self, handle: str) -> None:
        if self._journal is not None:
            run = self._runs.get(handle)
            self._journal.append(handle, None if run is None else run.record())

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _reach(self) -> float:
        """Return the time if the engine answers at all."""
        now = self._now()
        if now < self._unavailable_until:
            left_seconds = self._unavailable_until - now
            raise EngineUnavailable(f"the simulated engine is away for {left_seconds:.0f} s more")
        return now


def _node_died() -> Exit:
    return Exit(ExitCause.INTERRUPTED, message="the node died")
