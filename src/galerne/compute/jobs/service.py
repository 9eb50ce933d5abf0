"""Verbs of a job: plan, create, stop, and say why."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.admission import Inputs, ResolvedInput
from galerne.compute.capacity import lease_request
from galerne.compute.jobs.capacity import request_lease
from galerne.compute.jobs.errors import FileMissing, JobEnded, JobNotFound
from galerne.compute.jobs.models import Job, JobAttempt
from galerne.compute.jobs.repository import JobRepository
from galerne.compute.jobs.schemas import JobCreate, JobSpec
from galerne.compute.jobs.states import TERMINAL, JobState
from galerne.compute.leases.service import LeaseService
from galerne.compute.placing import Placing, Wish
from galerne.compute.plan import Plan
from galerne.drivers.base import Network
from galerne.events.emit import emit
from galerne.iam.projects.models import Project
from galerne.iam.projects.service import ProjectService
from galerne.integrations.objectstore.base import StoredFile
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.rest.subject import Subject
from galerne.sovereignty.labels import Label


class JobService:
    """Business rules of jobs."""

    def __init__(
        self,
        session: AsyncSession,
        clock: Clock,
        *,
        projects: ProjectService,
        leases: LeaseService,
        placing: Placing,
        inputs: Inputs,
    ) -> None:
        self._session = session
        self._clock = clock
        self._jobs = JobRepository(session)
        self._projects = projects
        self._leases = leases
        self._placing = placing
        self._inputs = inputs

    async def plan(self, subject: Subject, body: JobCreate) -> Plan:
        project = await self._projects.resolve(subject, body.project)
        resolved = await self._resolve(subject, project, body.spec)
        return await self._placing.plan(project, _wish(body.spec, _label(project, resolved)))

    async def create(self, subject: Subject, body: JobCreate) -> Job:
        """Accept a job: one row, one lease asked for, one log entry; a worker does the rest."""
        project = await self._projects.resolve(subject, body.project)
        await self._check_files(subject, body)
        resolved = await self._resolve(subject, project, body.spec)
        label = _label(project, resolved)
        job_id = new_id(Job.id_prefix)
        await self._placing.admit(subject, project, _wish(body.spec, label), workload_id=job_id)
        now = self._clock.now()
        row = Job(
            id=job_id,
            created_at=now,
            organization_id=project.organization_id,
            project_id=project.id,
            name=body.spec.name,
            spec=body.spec.model_dump(mode="json"),
            files=[file.model_dump() for file in body.files],
            inputs=[
                _input_json(given.name, found)
                for given, found in zip(body.spec.inputs, resolved, strict=True)
            ],
            label=label.as_json(),
            submitted_by=subject.actor,
            wanted="run",
            state=JobState.PENDING,
            attempt=0,
            detail="",
        )
        self._jobs.add(row)
        row.lease_id = await request_lease(self._leases, row, body.spec, actor=subject.actor)
        self._emit(row, "job.submitted", subject, now)
        return row

    async def stop(self, subject: Subject, job_id: str) -> Job:
        """Want it stopped. Asking twice changes nothing; a job that has ended cannot be stopped."""
        row = await self.get(job_id)
        if row.state in TERMINAL:
            raise JobEnded(
                f"{row.name} is {row.state.value}", hint="submit it again to run it once more"
            )
        if row.wanted != "stop":
            row.wanted = "stop"
            self._emit(row, "job.stop_wanted", subject, self._clock.now())
        row.next_pass_at = self._clock.now()
        return row

    async def get(self, job_id: str) -> Job:
        row = await self._jobs.get(job_id)
        if row is None:
            raise JobNotFound(
                f"there is no job {job_id}", hint="`galerne ps -a` lists the jobs of your project"
            )
        return row

    async def attempts(self, job_id: str) -> Sequence[JobAttempt]:
        return await self._jobs.attempts(job_id)

    async def find(
        self,
        subject: Subject,
        *,
        project: str | None,
        states: Sequence[JobState],
        name: str | None,
        limit: int,
        before: str | None,
    ) -> Sequence[Job]:
        conditions = []
        if project is not None:
            found = await self._projects.resolve(subject, project)
            conditions.append(Job.project_id == found.id)
        if states:
            conditions.append(Job.state.in_(states))
        if name is not None:
            conditions.append(Job.name == name)
        return await self._jobs.page(*conditions, limit=limit, before=before)

    async def why(self, job_id: str) -> tuple[Job, dict[str, str], dict[str, Any]]:
        """Say what it waits for, or how it ended, and what would change that."""
        row = await self.get(job_id)
        facts: dict[str, Any] = {"wanted": row.wanted, "attempt": row.attempt}
        lease = await self._leases.get(row.lease_id) if row.lease_id else None
        if row.last_failure:
            facts |= {"last_failure": row.last_failure, "failures": row.failures}
            return row, _reason("backing_off", row.last_failure, _retry_hint(row)), facts
        if row.state is JobState.PENDING and lease is not None and lease.waiting:
            facts |= {"requested_at": lease.requested_at.isoformat()}
            return row, lease.waiting, facts
        if row.reason is not None:
            return row, row.reason, facts
        return row, _state_reason(row), facts

    async def _check_files(self, subject: Subject, body: JobCreate) -> None:
        named = set(body.spec.files)
        sent = {file.path for file in body.files}
        if named != sent:
            lacking = ", ".join(sorted(named - sent)) or ", ".join(sorted(sent - named))
            raise FileMissing(
                f"`files` and what was uploaded differ: {lacking}",
                hint="upload each file as a blob and name it in the request",
            )
        await self._inputs.require_sent(
            self._session, subject, [StoredFile(**file.model_dump()) for file in body.files]
        )

    async def _resolve(
        self, subject: Subject, project: Project, spec: JobSpec
    ) -> list[ResolvedInput]:
        return [
            await self._inputs.resolve(
                self._session,
                subject,
                project_id=project.id,
                kind="dataset" if given.dataset else "model",
                reference=given.dataset or given.model or "",
            )
            for given in spec.inputs
        ]

    def _emit(self, row: Job, kind: str, subject: Subject, at: datetime) -> None:
        emit(
            self._session,
            kind,
            subject_id=row.id,
            organization_id=row.organization_id,
            project_id=row.project_id,
            actor=subject.actor,
            data={"name": row.name, "label": row.label, "nodes": row.spec["nodes"]},
            at=at,
        )


def _label(project: Project, inputs: Sequence[ResolvedInput]) -> Label:
    label = project.label_value()
    for given in inputs:
        label &= given.label
    return label


def _wish(spec: JobSpec, label: Label) -> Wish:
    return Wish(
        kind="job",
        name=spec.name,
        request=lease_request(spec, label, nodes=spec.nodes),
        copies=1,
        network=Network(spec.network),
        duration_seconds=spec.max_duration,
    )


def _input_json(mount: str, found: ResolvedInput) -> dict[str, Any]:
    return {
        "mount": mount,
        "kind": found.kind,
        "id": found.id,
        "name": found.name,
        "version": found.version,
        "licence": found.licence,
        "label": found.label.as_json(),
        "digest": found.digest,
        "files": [asdict(file) for file in found.files],
    }


def _reason(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def _retry_hint(row: Job) -> str:
    when = row.next_pass_at.isoformat(timespec="seconds") if row.next_pass_at else "soon"
    return f"it is tried again at {when}; after {row.failures} failures the operator should look"


def _state_reason(row: Job) -> dict[str, str]:
    match row.state:
        case JobState.PENDING:
            return _reason(
                "waiting_for_scheduler", "the scheduler has not looked at it yet", "wait"
            )
        case JobState.STARTING:
            return _reason("starting", row.detail or "the engine is starting it", "wait")
        case JobState.RUNNING:
            return _reason("running", "it runs", "follow it with `galerne logs -f`")
        case JobState.STOPPING:
            return _reason("stopping", "the engine is stopping it", "its grace period ends soon")
        case JobState.FINISHING:
            return _reason("finishing", "its outputs are being stored", "wait")
        case JobState.SUCCEEDED:
            return _reason("succeeded", "it ended with exit code 0", "nothing needs to change")
        case _:
            return _reason(row.state.value, f"it is {row.state.value}", "submit it again")
