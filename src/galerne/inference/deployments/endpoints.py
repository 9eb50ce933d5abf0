"""Routes of deployments: plan, create, list, follow, stop, and ask why."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from galerne.compute.jobs.schemas import Reason, WhyOut
from galerne.compute.logs import LogOffset, LogWait, log_response
from galerne.compute.plan import Plan
from galerne.inference.deployments.auth import DeploymentsRead, DeploymentsWrite
from galerne.inference.deployments.logs import DeploymentLogs
from galerne.inference.deployments.models import Deployment, Replica
from galerne.inference.deployments.schemas import (
    DeploymentCreate,
    DeploymentDetail,
    DeploymentOut,
    ReplicaOut,
)
from galerne.inference.deployments.service import DeploymentService
from galerne.inference.deployments.states import DeploymentState, ReplicaState
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided, shared
from galerne.rest.route import AuthenticatedRoute, TransactionalRoute

router = APIRouter(prefix="/deployments", tags=["deployments"], route_class=TransactionalRoute)
log_router = APIRouter(prefix="/deployments", tags=["deployments"], route_class=AuthenticatedRoute)

Deployments = Annotated[DeploymentService, Depends(provided(DeploymentService))]
Logs = Annotated[DeploymentLogs, Depends(shared(DeploymentLogs))]


@router.post("/plan")
async def plan_deployment(
    body: DeploymentCreate, subject: DeploymentsWrite, deployments: Deployments
) -> Plan:
    """Say where replicas would run and why, and what they would cost. Changes nothing."""
    return await deployments.plan(subject, body)


@router.post("", status_code=202)
async def create_deployment(
    body: DeploymentCreate, subject: DeploymentsWrite, deployments: Deployments
) -> DeploymentOut:
    """Accept a deployment. It serves as soon as a replica is ready; watch its state."""
    return _out(await deployments.create(subject, body), ready=0)


@router.get("")
async def list_deployments(
    subject: DeploymentsRead,
    deployments: Deployments,
    project: str | None = None,
    state: Annotated[list[DeploymentState] | None, Query()] = None,
    name: str | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DeploymentOut]:
    """List deployments, newest first."""
    rows = await deployments.find(
        subject, project=project, states=state or [], name=name, limit=limit, before=cursor
    )
    ids = [row.id for row in rows]
    ready = await deployments.ready_counts(ids)
    return page([_out(row, ready=ready[row.id]) for row in rows], ids=ids, limit=limit)


@router.get("/{deployment_id}")
async def get_deployment(
    deployment_id: str, subject: DeploymentsRead, deployments: Deployments
) -> DeploymentDetail:
    """Show a deployment with its replicas."""
    del subject
    row = await deployments.get(deployment_id)
    return _detail(row, await deployments.replicas(deployment_id))


@router.post("/{deployment_id}/stop", status_code=202)
async def stop_deployment(
    deployment_id: str, subject: DeploymentsWrite, deployments: Deployments
) -> DeploymentOut:
    """Want it stopped: replicas finish what they have, then stop. Watch its state."""
    row = await deployments.stop(subject, deployment_id)
    ready = await deployments.ready_counts([row.id])
    return _out(row, ready=ready[row.id])


@router.get("/{deployment_id}/why")
async def why_deployment(
    deployment_id: str, subject: DeploymentsRead, deployments: Deployments
) -> WhyOut:
    """Say what it waits for or how it ended, and what would change that."""
    del subject
    row, reason, facts = await deployments.why(deployment_id)
    return WhyOut(id=row.id, state=row.state.value, reason=Reason(**reason), facts=facts)


@log_router.get(
    "/{deployment_id}/logs",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def read_deployment_log(
    deployment_id: str,
    subject: DeploymentsRead,
    logs: Logs,
    offset: LogOffset = 0,
    wait_seconds: LogWait = 0,
    replica: Annotated[str | None, Query(description="The newest if left out.")] = None,
) -> Response:
    """Read a replica's output from a byte offset."""
    chunk = await logs.read(
        subject, deployment_id, replica_id=replica, offset=offset, wait_seconds=wait_seconds
    )
    return log_response(chunk)


def _out(row: Deployment, *, ready: int) -> DeploymentOut:
    return DeploymentOut(
        id=row.id,
        kind="deployment",
        name=row.name,
        organization_id=row.organization_id,
        project_id=row.project_id,
        state=row.state,
        wanted="stop" if row.wanted == "stop" else "run",
        replicas_wanted=row.spec["replicas"] if row.wanted == "run" else 0,
        replicas_ready=ready,
        model={key: value for key, value in row.model.items() if key != "path"},
        runtime=row.runtime,
        label=row.label,
        spec=row.spec,
        reason=Reason(**row.reason) if row.reason else None,
        submitted_by=row.submitted_by,
        created_at=row.created_at,
        ready_at=row.ready_at,
        ended_at=row.ended_at,
    )


def _detail(row: Deployment, replicas: Sequence[Replica]) -> DeploymentDetail:
    ready = sum(replica.state is ReplicaState.READY for replica in replicas)
    return DeploymentDetail(
        **_out(row, ready=ready).model_dump(),
        replicas=[ReplicaOut.model_validate(replica, from_attributes=True) for replica in replicas],
    )
