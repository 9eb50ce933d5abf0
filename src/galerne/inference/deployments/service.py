"""Verbs of a deployment: plan, create, stop, and say why."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.capacity import lease_request
from galerne.compute.leases.service import LeaseService
from galerne.compute.placing import Placing, Wish
from galerne.compute.plan import Plan
from galerne.drivers.base import Network
from galerne.events.emit import emit
from galerne.events.transition import transition
from galerne.iam.projects.models import Project
from galerne.iam.projects.service import ProjectService
from galerne.inference.deployments.errors import DeploymentEnded, DeploymentNotFound, NameTaken
from galerne.inference.deployments.models import Deployment, Replica
from galerne.inference.deployments.repository import DeploymentRepository
from galerne.inference.deployments.schemas import DeploymentCreate, DeploymentSpec
from galerne.inference.deployments.serving import choose_runtime, require_memory, serve_request
from galerne.inference.deployments.states import (
    DEPLOYMENT_TERMINAL,
    DeploymentState,
    ReplicaState,
)
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.registry.models.service import ModelService, ResolvedModel
from galerne.rest.subject import Subject
from galerne.runtimes.base import Runtime
from galerne.sovereignty.labels import Label


class DeploymentService:
    """Business rules of deployments."""

    def __init__(
        self,
        session: AsyncSession,
        clock: Clock,
        *,
        projects: ProjectService,
        models: ModelService,
        leases: LeaseService,
        placing: Placing,
        runtimes: Mapping[str, Runtime],
    ) -> None:
        self._session = session
        self._clock = clock
        self._deployments = DeploymentRepository(session)
        self._projects = projects
        self._models = models
        self._leases = leases
        self._placing = placing
        self._runtimes = runtimes

    async def plan(self, subject: Subject, body: DeploymentCreate) -> Plan:
        project, model, _ = await self._prepare(subject, body)
        label = project.label_value() & model.label
        return await self._placing.plan(project, _wish(body.spec, label))

    async def create(self, subject: Subject, body: DeploymentCreate) -> Deployment:
        """Accept a deployment; workers start its replicas."""
        project, model, runtime = await self._prepare(subject, body)
        if await self._deployments.live_by_name(project.id, body.spec.name):
            raise NameTaken(
                f"the project has a live deployment named {body.spec.name}",
                hint="stop it first, or choose another name",
            )
        label = project.label_value() & model.label
        deployment_id = new_id(Deployment.id_prefix)
        await self._placing.admit(
            subject, project, _wish(body.spec, label), workload_id=deployment_id
        )
        now = self._clock.now()
        row = Deployment(
            id=deployment_id,
            created_at=now,
            organization_id=project.organization_id,
            project_id=project.id,
            name=body.spec.name,
            spec=body.spec.model_dump(mode="json"),
            model=_model_json(model),
            runtime=runtime.name,
            label=label.as_json(),
            submitted_by=subject.actor,
            wanted="run",
            state=DeploymentState.STARTING,
            next_pass_at=now,
        )
        self._deployments.add(row)
        self._emit(row, "deployment.submitted", subject, now)
        return row

    async def stop(self, subject: Subject, deployment_id: str) -> Deployment:
        """Want it stopped: replicas drain, then stop. Asking twice changes nothing."""
        row = await self.get(deployment_id)
        if row.state in DEPLOYMENT_TERMINAL:
            raise DeploymentEnded(f"{row.name} is {row.state.value}", hint="apply its file again")
        now = self._clock.now()
        if row.wanted != "stop":
            row.wanted = "stop"
            transition(self._session, row, "stop", actor=subject.actor, at=now)
        row.next_pass_at = now
        return row

    async def get(self, deployment_id: str) -> Deployment:
        row = await self._deployments.get(deployment_id)
        if row is None:
            raise DeploymentNotFound(
                f"there is no deployment {deployment_id}", hint="`galerne ps -a` lists yours"
            )
        return row

    async def replicas(self, deployment_id: str) -> Sequence[Replica]:
        return await self._deployments.replicas(deployment_id)

    async def ready_counts(self, deployment_ids: Sequence[str]) -> Mapping[str, int]:
        live = await self._deployments.live_replicas(deployment_ids)
        return {
            deployment_id: sum(replica.state is ReplicaState.READY for replica in replicas)
            for deployment_id, replicas in live.items()
        }

    async def find(
        self,
        subject: Subject,
        *,
        project: str | None,
        states: Sequence[DeploymentState],
        name: str | None,
        limit: int,
        before: str | None,
    ) -> Sequence[Deployment]:
        conditions = []
        if project is not None:
            found = await self._projects.resolve(subject, project)
            conditions.append(Deployment.project_id == found.id)
        if states:
            conditions.append(Deployment.state.in_(states))
        if name is not None:
            conditions.append(Deployment.name == name)
        return await self._deployments.page(*conditions, limit=limit, before=before)

    async def why(self, deployment_id: str) -> tuple[Deployment, dict[str, str], dict[str, Any]]:
        """Say what it waits for, or how it ended, and what would change that."""
        row = await self.get(deployment_id)
        replicas = await self._deployments.replicas(deployment_id)
        facts: dict[str, Any] = {
            "wanted": row.wanted,
            "replicas_wanted": row.spec["replicas"],
            "replicas": {
                state.value: count
                for state in ReplicaState
                if (count := sum(replica.state is state for replica in replicas))
            },
        }
        if row.state is not DeploymentState.STARTING or not replicas:
            return row, row.reason or _state_reason(row), facts
        return row, await self._why_starting(row, replicas[0]), facts

    async def _why_starting(self, row: Deployment, newest: Replica) -> dict[str, str]:
        lease = await self._leases.get(newest.lease_id)
        if newest.last_failure:
            return _reason("backing_off", newest.last_failure, "the operator should look")
        if newest.state is ReplicaState.PENDING and lease.waiting:
            return dict(lease.waiting)
        if newest.state is ReplicaState.ENDED and newest.reason:
            return dict(newest.reason)
        return _reason("starting", newest.detail or f"a replica of {row.name} is starting", "wait")

    async def _prepare(
        self, subject: Subject, body: DeploymentCreate
    ) -> tuple[Project, ResolvedModel, Runtime]:
        project = await self._projects.resolve(subject, body.project)
        model = await self._models.resolve(project.id, body.spec.model)
        runtime = choose_runtime(self._runtimes, body.spec, model)
        request = serve_request(
            model=_model_json(model), name=body.spec.name, spec=body.spec, port=1
        )
        require_memory(runtime, request, body.spec)
        return project, model, runtime

    def _emit(self, row: Deployment, kind: str, subject: Subject, at: datetime) -> None:
        emit(
            self._session,
            kind,
            subject_id=row.id,
            organization_id=row.organization_id,
            project_id=row.project_id,
            actor=subject.actor,
            data={
                "name": row.name,
                "label": row.label,
                "model": {key: row.model[key] for key in ("id", "name", "version", "licence")},
                "replicas": row.spec["replicas"],
            },
            at=at,
        )


def _wish(spec: DeploymentSpec, label: Label) -> Wish:
    return Wish(
        kind="deployment",
        name=spec.name,
        request=lease_request(spec, label),
        copies=spec.replicas,
        network=Network.LOOPBACK,
        duration_seconds=None,
    )


def _model_json(model: ResolvedModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "kind": model.kind,
        "name": model.name,
        "version": model.version,
        "format": model.format.value,
        "path": str(model.path),
        "licence": model.licence,
        "label": model.label.as_json(),
        "context_tokens": model.context_tokens,
    }


def _reason(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def _state_reason(row: Deployment) -> dict[str, str]:
    match row.state:
        case DeploymentState.STARTING:
            return _reason("waiting_for_worker", "no worker has looked at it yet", "wait")
        case DeploymentState.RUNNING:
            return _reason("running", "it serves", f"ask it as the model {row.name!r}")
        case DeploymentState.STOPPING:
            return _reason("stopping", "its replicas drain", "requests in flight end soon")
        case _:
            return _reason(row.state.value, f"it is {row.state.value}", "apply its file again")
