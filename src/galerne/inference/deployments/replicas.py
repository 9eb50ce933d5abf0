"""Makes each replica real: claim, ask the engine and the probe, decide, write down.

The replica's id is the engine's handle and its port is on record before the engine is asked, so that
asking again starts nothing twice. A replica that ends is not restarted: the deployment makes a new one,
which may land elsewhere.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.service import LeaseService
from galerne.compute.leases.states import LeaseState
from galerne.compute.windows import meter
from galerne.db.types import JsonObject
from galerne.drivers.base import Driver, Launch, Network, Observation, Phase
from galerne.drivers.errors import DriverError, LaunchRefused
from galerne.events.transition import transition
from galerne.inference.deployments.decide import Action, Sight, decide
from galerne.inference.deployments.models import Deployment, Replica
from galerne.inference.deployments.repository import DeploymentRepository
from galerne.inference.deployments.schemas import DeploymentSpec
from galerne.inference.deployments.serving import HOST, serve_request
from galerne.inference.deployments.states import REPLICA_TERMINAL, ReplicaState
from galerne.kit.clock import Clock
from galerne.runtimes.base import Runtime
from galerne.worker.claims import is_due
from galerne.worker.reconciler import Failure, Reconciler

STARTING_LOOK_SECONDS = 0.3
READY_LOOK_SECONDS = 2.0
STARTING_SECONDS_MAX = 900  # Large weights take minutes to load.
UNREADY_SECONDS_MAX = 30
# The gateway learns within its refresh that a replica drains; only then is "idle" believed.
DRAIN_SECONDS_MIN = 2.0
PORT_MIN, PORT_MAX = 20_000, 29_999
ACTOR = "worker"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A replica as one pass needs it, detached from the database."""

    replica_id: str
    state: ReplicaState
    end_wanted: bool
    capacity_held: bool
    spec: DeploymentSpec
    deployment_name: str
    model: Mapping[str, Any]
    runtime: str
    driver: str | None
    node_names: tuple[str, ...]
    port: int | None
    base_url: str | None
    placed_at: datetime
    drain_until: datetime | None
    unready_since: datetime | None
    label: JsonObject  # The deployment's, fixed at submission.
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the engine and the probe said."""

    action: Action
    seen: Observation | None = None
    ready: bool = False
    refusal: LaunchRefused | None = None


class ReplicaReconciler(Reconciler[Replica, Loaded, Learnt]):
    """One pass over the replicas that are due."""

    kind: ClassVar[str] = "replica"

    def __init__(
        self,
        drivers: Mapping[str, Driver],
        runtimes: Mapping[str, Runtime],
        *,
        workspaces: Path,
        image: str,
        clock: Clock,
    ) -> None:
        self._drivers = drivers
        self._runtimes = runtimes
        self._workspaces = workspaces
        self._image = image  # The environment that holds the serving programs.
        self._clock = clock

    @property
    def model(self) -> type[Replica]:
        return Replica

    def due(self, now: datetime) -> ColumnElement[bool]:
        held = select(CapacityLease.id).where(CapacityLease.awaits_take_up())
        waiting = and_(Replica.state == ReplicaState.PENDING, Replica.lease_id.in_(held))
        return or_(is_due(Replica, now), waiting)

    async def load(self, session: AsyncSession, rows: Sequence[Replica]) -> Mapping[str, Loaded]:
        leases = await LeaseService(session, self._clock).by_ids([row.lease_id for row in rows])
        deployments = await DeploymentRepository(session).by_ids(
            {row.deployment_id for row in rows}
        )
        return {
            row.id: _load(row, deployments[row.deployment_id], leases[row.lease_id]) for row in rows
        }

    async def act(self, loaded: Mapping[str, Loaded]) -> Mapping[str, Learnt | Failure]:
        answers = await asyncio.gather(*(self._act_one(replica) for replica in loaded.values()))
        return dict(zip(loaded, answers, strict=True))

    async def _act_one(self, replica: Loaded) -> Learnt | Failure:
        if replica.driver is None:
            return Learnt(decide(_sight(replica, None, ready=False, idle=False, overdue=False)))
        driver = self._drivers[replica.driver]
        try:
            if replica.state is ReplicaState.STARTING and not replica.end_wanted:
                await driver.submit(await self._launch(replica))
            if replica.state is ReplicaState.STOPPING:
                await driver.stop(replica.replica_id, grace_seconds=replica.spec.stop_duration)
            seen = (await driver.observe([replica.replica_id]))[replica.replica_id]
            return await self._judge(replica, seen)
        except LaunchRefused as refusal:
            return Learnt(Action.END, refusal=refusal)
        except (DriverError, OSError) as error:
            return Failure(f"{type(error).__name__}: {error}")

    async def _judge(self, replica: Loaded, seen: Observation) -> Learnt:
        runtime = self._runtimes[replica.runtime]
        now = self._clock.now()
        up = seen.phase is Phase.RUNNING and replica.base_url is not None
        ready = up and await runtime.ready(replica.base_url or "")
        sight = _sight(
            replica,
            seen.phase,
            ready=ready,
            idle=replica.state is ReplicaState.DRAINING and await self._idle(replica, now),
            overdue=_overdue(replica, now, ready=ready),
        )
        return Learnt(decide(sight), seen=seen, ready=ready)

    async def _idle(self, replica: Loaded, now: datetime) -> bool:
        assert replica.drain_until is not None
        if now >= replica.drain_until:
            return True
        started = replica.drain_until - timedelta(seconds=_drain_seconds(replica.spec))
        if now < started + timedelta(seconds=DRAIN_SECONDS_MIN):
            return False
        counters = await self._runtimes[replica.runtime].counters(replica.base_url or "")
        return counters is not None and not counters.requests_running + counters.requests_waiting

    async def _launch(self, replica: Loaded) -> Launch:
        assert replica.port is not None
        runtime = self._runtimes[replica.runtime]
        request = serve_request(
            model=replica.model,
            name=replica.deployment_name,
            spec=replica.spec,
            port=replica.port,
        )
        command = await asyncio.to_thread(runtime.command, request)
        workspace = self._workspaces / replica.replica_id
        workspace.mkdir(parents=True, exist_ok=True)
        return Launch(
            handle=replica.replica_id,
            name=replica.deployment_name,
            nodes=replica.node_names,
            argv=command.argv,
            env={**command.env, **replica.spec.env},
            resources=replica.spec.resources.per_node(),
            workspace=workspace,
            read_only=(Path(replica.model["path"]),),
            image=self._image,
            network=Network.LOOPBACK,
            grace_seconds=replica.spec.stop_duration,
            labels=replica.labels,
        )

    async def apply(
        self, session: AsyncSession, row: Replica, loaded: Loaded, learnt: Learnt, *, now: datetime
    ) -> datetime | None:
        if row.state in REPLICA_TERMINAL:
            return None  # Somebody woke it while it ended.
        if learnt.seen is not None:
            _record(session, row, loaded, learnt.seen, now)
            _follow_probe(row, ready=learnt.ready, now=now)
        match learnt.action:
            case Action.PLACE:
                await self._place(session, row, now)
                return now
            case Action.MARK_READY:
                row.ready_at = now
                row.detail = ""
                self._move(session, row, "ready", now, base_url=row.base_url)
                await _wake_deployment(session, row, now)
            case Action.DRAIN:
                row.drain_until = now + timedelta(seconds=_drain_seconds(loaded.spec))
                self._move(session, row, "drain", now)
            case Action.STOP:
                self._move(session, row, "stop", now, wanted=row.wanted)
            case Action.END:
                await self._end(session, row, learnt, now)
                return None
        if row.state is ReplicaState.PENDING:
            return None
        settled = row.state is ReplicaState.READY
        pause = READY_LOOK_SECONDS if settled else STARTING_LOOK_SECONDS
        return now + timedelta(seconds=pause)

    async def _place(self, session: AsyncSession, row: Replica, now: datetime) -> None:
        lease = await LeaseService(session, self._clock).take_up(row.lease_id)
        row.driver = lease.driver
        row.site_id = lease.site_id
        row.node_names = lease.node_names
        row.port = _free_port(await DeploymentRepository(session).ports_taken())
        row.base_url = f"http://{HOST}:{row.port}"
        # The handle could only ever be known to this engine: the clock of STARTING begins here.
        self._move(session, row, "place", now, site_id=lease.site_id, nodes=lease.node_names[:64])
        row.drain_until = None
        row.unready_since = now

    async def _end(
        self, session: AsyncSession, row: Replica, learnt: Learnt, now: datetime
    ) -> None:
        if learnt.refusal is not None:
            refusal = learnt.refusal
            row.reason = {"code": refusal.code, "message": str(refusal), "hint": refusal.hint}
        elif learnt.seen is not None and row.wanted == "run":
            row.reason = _ending(learnt.seen)
        row.ended_at = now
        cause = row.reason["code"] if row.reason else "wanted"
        self._move(session, row, "end", now, cause=cause)
        await LeaseService(session, self._clock).release(row.lease_id, actor=ACTOR)
        await _wake_deployment(session, row, now)

    def _move(
        self, session: AsyncSession, row: Replica, verb: str, now: datetime, **data: Any
    ) -> None:
        data = {"deployment_id": row.deployment_id, **data}
        transition(session, row, verb, actor=ACTOR, at=now, data=data)


def _load(row: Replica, deployment: Deployment, lease: CapacityLease) -> Loaded:
    return Loaded(
        replica_id=row.id,
        state=row.state,
        end_wanted=row.wanted == "end",
        capacity_held=lease.state is LeaseState.HELD,
        spec=DeploymentSpec.model_validate(deployment.spec),
        deployment_name=deployment.name,
        model=deployment.model,
        runtime=deployment.runtime,
        driver=row.driver,
        node_names=tuple(row.node_names),
        port=row.port,
        base_url=row.base_url,
        placed_at=lease.held_at or row.created_at,
        drain_until=row.drain_until,
        unready_since=row.unready_since,
        label=deployment.label,
        labels={
            "organization": row.organization_id,
            "project": row.project_id,
            "deployment": deployment.id,
        },
    )


def _sight(
    replica: Loaded, phase: Phase | None, *, ready: bool, idle: bool, overdue: bool
) -> Sight:
    return Sight(
        state=replica.state,
        end_wanted=replica.end_wanted,
        capacity_held=replica.capacity_held,
        phase=phase,
        ready=ready,
        idle=idle,
        overdue=overdue,
    )


def _overdue(replica: Loaded, now: datetime, *, ready: bool) -> bool:
    if ready:
        return False
    if replica.state is ReplicaState.STARTING:
        return now - replica.placed_at > timedelta(seconds=STARTING_SECONDS_MAX)
    since = replica.unready_since
    return since is not None and now - since > timedelta(seconds=UNREADY_SECONDS_MAX)


def _drain_seconds(spec: DeploymentSpec) -> float:
    return max(DRAIN_SECONDS_MIN, float(spec.stop_duration))


def _follow_probe(row: Replica, *, ready: bool, now: datetime) -> None:
    if ready:
        row.unready_since = None
    elif row.unready_since is None:
        row.unready_since = now


def _ending(seen: Observation) -> dict[str, str]:
    if seen.exit is None:
        return {
            "code": "interrupted",
            "message": "the engine has lost the replica",
            "hint": "another one is started",
        }
    return {
        "code": seen.exit.cause.value,
        "message": seen.exit.message or f"exit code {seen.exit.exit_code}",
        "hint": "read the replica's log; another one is started with growing pauses",
    }


def _free_port(taken: frozenset[int]) -> int:
    # A random one: if something else of the machine's has it, the next replica tries another.
    while (port := PORT_MIN + secrets.randbelow(PORT_MAX - PORT_MIN + 1)) in taken:
        continue
    return port


async def _wake_deployment(session: AsyncSession, row: Replica, now: datetime) -> None:
    deployment = await DeploymentRepository(session).get(row.deployment_id)
    if deployment is not None:
        deployment.next_pass_at = now


def _record(
    session: AsyncSession, row: Replica, loaded: Loaded, seen: Observation, now: datetime
) -> None:
    row.started_at = row.started_at or seen.started_at
    row.detail = seen.detail[:500]
    meter(
        session,
        row,
        seen,
        workload_id=row.deployment_id,
        workload_kind="deployment",
        accelerator_type=loaded.spec.resources.accelerators()[0],
        label=loaded.label,
        now=now,
    )
