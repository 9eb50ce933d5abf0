"""Routes of jobs: plan, create, list, follow, stop, and ask why."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from galerne.compute.jobs.auth import JobsRead, JobsWrite
from galerne.compute.jobs.logs import JobLogs
from galerne.compute.jobs.models import Job, JobAttempt
from galerne.compute.jobs.schemas import AttemptOut, JobCreate, JobDetail, JobOut, Reason, WhyOut
from galerne.compute.jobs.service import JobService
from galerne.compute.jobs.states import JobState
from galerne.compute.logs import LogOffset, LogWait, log_response
from galerne.compute.plan import Plan
from galerne.rest.pagination import Cursor, Limit, Page, page
from galerne.rest.provide import provided, shared
from galerne.rest.route import AuthenticatedRoute, TransactionalRoute

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=TransactionalRoute)
log_router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=AuthenticatedRoute)

Jobs = Annotated[JobService, Depends(provided(JobService))]
Logs = Annotated[JobLogs, Depends(shared(JobLogs))]


@router.post("/plan")
async def plan_job(body: JobCreate, subject: JobsWrite, jobs: Jobs) -> Plan:
    """Say where a job would run and why, and what it would cost. Changes nothing."""
    return await jobs.plan(subject, body)


@router.post("", status_code=202)
async def create_job(body: JobCreate, subject: JobsWrite, jobs: Jobs) -> JobOut:
    """Accept a job. It runs as soon as capacity is free; watch its state."""
    return job_out(await jobs.create(subject, body))


@router.get("")
async def list_jobs(
    subject: JobsRead,
    jobs: Jobs,
    project: str | None = None,
    state: Annotated[list[JobState] | None, Query()] = None,
    name: str | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[JobOut]:
    """List jobs, newest first."""
    rows = await jobs.find(
        subject, project=project, states=state or [], name=name, limit=limit, before=cursor
    )
    return page([job_out(row) for row in rows], ids=[row.id for row in rows], limit=limit)


@router.get("/{job_id}")
async def get_job(job_id: str, subject: JobsRead, jobs: Jobs) -> JobDetail:
    """Show a job with its attempts."""
    del subject
    row = await jobs.get(job_id)
    return _detail(row, await jobs.attempts(job_id))


@router.post("/{job_id}/stop", status_code=202)
async def stop_job(job_id: str, subject: JobsWrite, jobs: Jobs) -> JobOut:
    """Want it stopped: SIGTERM, its grace, SIGKILL. Watch its state."""
    return job_out(await jobs.stop(subject, job_id))


@router.get("/{job_id}/why")
async def why_job(job_id: str, subject: JobsRead, jobs: Jobs) -> WhyOut:
    """Say what it waits for or how it ended, and what would change that."""
    del subject
    row, reason, facts = await jobs.why(job_id)
    return WhyOut(id=row.id, state=row.state.value, reason=Reason(**reason), facts=facts)


@log_router.get(
    "/{job_id}/logs", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
)
async def read_job_log(
    job_id: str,
    subject: JobsRead,
    logs: Logs,
    offset: LogOffset = 0,
    wait_seconds: LogWait = 0,
    attempt: Annotated[int | None, Query(ge=1, description="The latest if left out.")] = None,
) -> Response:
    """Read output from a byte offset; ask again from `galerne-log-next-offset` to follow."""
    chunk = await logs.read(
        subject, job_id, attempt=attempt, offset=offset, wait_seconds=wait_seconds
    )
    return log_response(chunk)


def job_out(row: Job) -> JobOut:
    return JobOut(
        id=row.id,
        kind="job",
        name=row.name,
        organization_id=row.organization_id,
        project_id=row.project_id,
        state=row.state,
        wanted="stop" if row.wanted == "stop" else "run",
        attempt=row.attempt,
        detail=row.detail,
        label=row.label,
        site_id=row.site_id,
        spec=row.spec,
        reason=Reason(**row.reason) if row.reason else None,
        submitted_by=row.submitted_by,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _detail(row: Job, attempts: Sequence[JobAttempt]) -> JobDetail:
    return JobDetail(
        **job_out(row).model_dump(),
        attempts=[AttemptOut.model_validate(attempt, from_attributes=True) for attempt in attempts],
        inputs=[
            {
                key: given[key]
                for key in ("mount", "kind", "id", "name", "version", "licence", "label")
            }
            for given in row.inputs
        ],
    )
