"""Keeps as many replicas of each deployment as its owner wants: creates, drains, gives up.

Touches no engine: a replica is a row, and its own reconciler (`replicas`) makes it real.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.capacity import lease_request
from galerne.compute.leases.service import LeaseService
from galerne.events.transition import transition
from galerne.inference.deployments.models import Deployment, Replica
from galerne.inference.deployments.repository import DeploymentRepository, Endings
from galerne.inference.deployments.schemas import DeploymentSpec
from galerne.inference.deployments.states import (
    DEPLOYMENT_TERMINAL,
    DeploymentState,
    ReplicaState,
)
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.sovereignty.labels import Label
from galerne.worker.claims import backoff_seconds
from galerne.worker.reconciler import Failure, Reconciler

LOOK_AGAIN_SECONDS = 1.0
RESTARTS_MAX = 8  # Without a replica ever being ready in between.
ACTOR = "worker"


@dataclass(frozen=True, slots=True)
class Balance:
    """What is to be done so that wanted and actual meet. Pure data."""

    create: int
    drain: tuple[str, ...]  # Ids of replicas that are too many.
    give_up: bool


def balance(*, wanted: int, live: Sequence[str], endings: Endings, now: datetime) -> Balance:
    """Choose. Pure: `live` is oldest first, so the newest go first when there are too many."""
    if endings.count >= RESTARTS_MAX and not live:
        return Balance(0, (), give_up=True)
    if len(live) > wanted:
        return Balance(0, tuple(live[wanted:]), give_up=False)
    waits = endings.count > 0 and endings.latest is not None
    if waits and endings.latest is not None:
        due = endings.latest + timedelta(seconds=backoff_seconds(endings.count))
        if now < due:
            return Balance(0, (), give_up=False)
    return Balance(wanted - len(live), (), give_up=False)


class DeploymentReconciler(Reconciler[Deployment, str, str]):
    """One pass over the deployments that are due."""

    kind: ClassVar[str] = "deployment"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def model(self) -> type[Deployment]:
        return Deployment

    async def load(self, session: AsyncSession, rows: Sequence[Deployment]) -> Mapping[str, str]:
        del session
        return {row.id: row.id for row in rows}

    async def act(self, loaded: Mapping[str, str]) -> Mapping[str, str | Failure]:
        return dict(loaded)

    async def apply(
        self, session: AsyncSession, row: Deployment, loaded: str, learnt: str, *, now: datetime
    ) -> datetime | None:
        del loaded, learnt
        if row.state in DEPLOYMENT_TERMINAL:
            return None  # Somebody woke it while it ended.
        deployments = DeploymentRepository(session)
        live = (await deployments.live_replicas([row.id]))[row.id]
        if row.wanted == "stop":
            return _stopping(session, row, live, now)
        spec = DeploymentSpec.model_validate(row.spec)
        todo = balance(
            wanted=spec.replicas,
            live=[replica.id for replica in live],
            endings=await deployments.failed_endings(row.id),
            now=now,
        )
        if todo.give_up:
            return await self._give_up(session, row, now)
        _want_ended([replica for replica in live if replica.id in todo.drain], now)
        for _ in range(todo.create):
            await self._create_replica(session, row, spec, now)
        _follow_readiness(session, row, live, now)
        return now + timedelta(seconds=LOOK_AGAIN_SECONDS)

    async def _create_replica(
        self, session: AsyncSession, row: Deployment, spec: DeploymentSpec, now: datetime
    ) -> None:
        replica_id = new_id(Replica.id_prefix)
        lease = await LeaseService(session, self._clock).request(
            lease_request(spec, Label.from_json(row.label)),
            organization_id=row.organization_id,
            project_id=row.project_id,
            workload_id=row.id,
            unit_id=replica_id,
            actor=ACTOR,
        )
        session.add(
            Replica(
                id=replica_id,
                created_at=now,
                organization_id=row.organization_id,
                project_id=row.project_id,
                deployment_id=row.id,
                lease_id=lease.id,
                wanted="run",
                state=ReplicaState.PENDING,
                node_names=[],
                detail="",
            )
        )

    async def _give_up(
        self, session: AsyncSession, row: Deployment, now: datetime
    ) -> datetime | None:
        replicas = await DeploymentRepository(session).replicas(row.id)
        last = next((replica.reason for replica in replicas if replica.reason), None)
        row.reason = {
            "code": "restarts_exhausted",
            "message": f"{RESTARTS_MAX} replicas in a row ended before one was ready"
            + (f"; the last: {last['message']}" if last else ""),
            "hint": last["hint"] if last else "read the log of a replica",
        }
        row.ended_at = now
        transition(session, row, "fail", actor=ACTOR, at=now, data={"restarts": RESTARTS_MAX})
        return None


def _stopping(
    session: AsyncSession, row: Deployment, live: Sequence[Replica], now: datetime
) -> datetime | None:
    if live:
        _want_ended(live, now)
        return now + timedelta(seconds=LOOK_AGAIN_SECONDS)
    row.ended_at = now
    transition(session, row, "stopped", actor=ACTOR, at=now)
    return None


def _want_ended(replicas: Sequence[Replica], now: datetime) -> None:
    for replica in replicas:
        if replica.wanted != "end":
            replica.wanted = "end"
            replica.next_pass_at = now


def _follow_readiness(
    session: AsyncSession, row: Deployment, live: Sequence[Replica], now: datetime
) -> None:
    ready = any(replica.state is ReplicaState.READY for replica in live)
    if ready and row.state is DeploymentState.STARTING:
        row.ready_at = row.ready_at or now
        row.reason = None
        transition(session, row, "ready", actor=ACTOR, at=now)
    elif not ready and row.state is DeploymentState.RUNNING:
        transition(session, row, "unready", actor=ACTOR, at=now)
