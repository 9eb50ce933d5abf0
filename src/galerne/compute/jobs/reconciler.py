"""Brings each job to what its owner wants: claim, decide, ask the engine, write down.

Every call to the engine is idempotent by the attempt's id, which is on record before the engine hears
of it. So a worker may die anywhere: the next one asks again and starts nothing twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.jobs.capacity import request_lease
from galerne.compute.jobs.decide import Action, Situation, after_engine, before_engine
from galerne.compute.jobs.models import Job, JobAttempt
from galerne.compute.jobs.repository import JobRepository
from galerne.compute.jobs.schemas import JobSpec
from galerne.compute.jobs.states import TERMINAL, JobState
from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.service import LeaseService
from galerne.compute.leases.states import LeaseState
from galerne.compute.staging import OutputMissing, StagedInput, Stager, environment_of
from galerne.compute.windows import meter
from galerne.drivers.base import Driver, ExitCause, Launch, Network, Observation, Phase
from galerne.drivers.errors import DriverError, LaunchRefused
from galerne.events.transition import transition
from galerne.integrations.objectstore.base import StoredFile
from galerne.integrations.objectstore.errors import FileRefused, TreeTooLarge
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.worker.claims import is_due
from galerne.worker.outbox import enqueue
from galerne.worker.reconciler import Failure, Reconciler

OBSERVE_SECONDS = 1.0
OBSERVE_SECONDS_MIN = 0.05  # Of one that was only just given to the engine.
STARTS_TOGETHER_MAX = 16
ACTOR = "worker"
OUTPUTS_TOPIC = "job.outputs"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A job as one pass needs it, detached from the database."""

    job_id: str
    situation: Situation
    spec: JobSpec
    attempt_id: str | None  # The latest attempt's, be it over.
    driver: str | None
    handle: str | None
    node_names: tuple[str, ...] = ()
    files: tuple[StoredFile, ...] = ()
    inputs: tuple[StagedInput, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the engine and the workspace said."""

    action: Action
    seen: Observation | None = None
    outputs: Mapping[str, list[StoredFile]] = field(default_factory=dict)
    refusal: LaunchRefused | None = None
    lost_output: str | None = None


class JobReconciler(Reconciler[Job, Loaded, Learnt]):
    """One pass over the jobs that are due."""

    kind = "job"

    def __init__(self, drivers: Mapping[str, Driver], stager: Stager, clock: Clock) -> None:
        self._drivers = drivers
        self._stager = stager
        self._clock = clock
        self._starts = asyncio.Semaphore(STARTS_TOGETHER_MAX)

    @property
    def model(self) -> type[Job]:
        return Job

    def due(self, now: datetime) -> ColumnElement[bool]:
        # A waiting job sleeps until its lease is held; nobody needs to know whom to wake.
        held = select(CapacityLease.id).where(CapacityLease.awaits_take_up())
        return or_(is_due(Job, now), and_(Job.state == JobState.PENDING, Job.lease_id.in_(held)))

    async def load(self, session: AsyncSession, rows: Sequence[Job]) -> Mapping[str, Loaded]:
        attempts = await JobRepository(session).latest_attempts([row.id for row in rows])
        lease_ids = [row.lease_id for row in rows if row.lease_id is not None]
        leases = await LeaseService(session, self._clock).by_ids(lease_ids)
        return {row.id: _load(row, attempts.get(row.id), leases) for row in rows}

    async def act(self, loaded: Mapping[str, Loaded]) -> Mapping[str, Learnt | Failure]:
        first = {job_id: before_engine(job.situation) for job_id, job in loaded.items()}
        learnt: dict[str, Learnt | Failure] = {}
        answers = await asyncio.gather(
            *(self._before(loaded[job_id], action) for job_id, action in first.items())
        )
        learnt.update(zip(first, answers, strict=True))
        watched = [
            job
            for job_id, job in loaded.items()
            if job.handle is not None
            and isinstance(answer := learnt[job_id], Learnt)
            and answer.refusal is None
            and job.situation.state not in {JobState.PENDING, JobState.FINISHING}
        ]
        for driver_name in {job.driver for job in watched if job.driver}:
            await self._observe(
                driver_name, [j for j in watched if j.driver == driver_name], learnt
            )
        return learnt

    async def _before(self, job: Loaded, action: Action) -> Learnt | Failure:
        try:
            match action:
                case Action.SUBMIT:
                    async with self._starts:
                        await self._submit(job)
                case Action.ASK_STOP:
                    assert job.driver is not None
                    assert job.handle is not None
                    await self._drivers[job.driver].stop(
                        job.handle, grace_seconds=job.spec.stop_duration
                    )
                case Action.SUCCEED:
                    paths = [output.path for output in job.spec.outputs]
                    return Learnt(action, outputs=await self._stager.collect(job.job_id, paths))
        except LaunchRefused as refusal:
            return Learnt(Action.FAIL, refusal=refusal)
        except (OutputMissing, FileRefused, TreeTooLarge) as error:
            return Learnt(Action.FAIL, lost_output=str(error))
        except (DriverError, OSError) as error:
            return Failure(f"{type(error).__name__}: {error}")
        return Learnt(action)

    async def _submit(self, job: Loaded) -> None:
        assert job.driver is not None
        assert job.handle is not None
        driver = self._drivers[job.driver]
        seen = (await driver.observe([job.handle]))[job.handle]
        if seen.phase is not Phase.ABSENT:
            return  # It may run already: its workspace is its own now, and is not prepared again.
        mounts = await self._stager.prepare(job.job_id, files=job.files, inputs=job.inputs)
        workspace = self._stager.workspace(job.job_id)
        resources = job.spec.resources.per_node()
        directory = workspace / job.spec.working_dir
        script = "\n".join(job.spec.commands)
        # A stop reaches the whole group; the shell waits for its child and ends as that did.
        argv = ("/bin/sh", "-e", "-c", f"trap 'exit $?' TERM\ncd {_quoted(directory)}\n{script}")
        found = environment_of(
            workspace,
            inputs={
                staged.name: mount.target for staged, mount in zip(job.inputs, mounts, strict=True)
            },
            nodes=job.spec.nodes,
            cpu_millis=resources.cpu_millis,
            name=job.spec.name,
        )
        await driver.submit(
            Launch(
                handle=job.handle,
                name=job.spec.name,
                nodes=job.node_names,
                argv=argv,
                env={**found, **job.spec.env},
                resources=resources,
                workspace=workspace,
                inputs=mounts,
                image=job.spec.image,
                network=Network(job.spec.network),
                time_limit_seconds=job.spec.max_duration,
                grace_seconds=job.spec.stop_duration,
                labels=job.labels,
            )
        )

    async def _observe(
        self, driver_name: str, jobs: Sequence[Loaded], learnt: dict[str, Learnt | Failure]
    ) -> None:
        handles = [job.handle for job in jobs if job.handle is not None]
        try:
            seen = await self._drivers[driver_name].observe(handles)
        except DriverError as error:
            learnt.update({job.job_id: Failure(f"{driver_name}: {error}") for job in jobs})
            return
        for job in jobs:
            assert job.handle is not None
            observation = seen.get(job.handle, Observation(Phase.ABSENT))
            before = learnt[job.job_id]
            assert isinstance(before, Learnt)
            action = after_engine(job.situation, observation)
            if action is Action.NOTHING:
                action = before.action
            learnt[job.job_id] = Learnt(action, seen=observation)

    async def recall(self, session: AsyncSession, rows: Sequence[Job]) -> Sequence[object]:
        attempts = await JobRepository(session).latest_attempts([row.id for row in rows])
        return list(attempts.values())

    async def apply(
        self, session: AsyncSession, row: Job, loaded: Loaded, learnt: Learnt, *, now: datetime
    ) -> datetime | None:
        if row.state in TERMINAL:
            return None  # Somebody woke it while it ended.
        # No statement here reads what another job's apply has written: all is flushed at once, later.
        with session.no_autoflush:
            attempt = await JobRepository(session).attempt(loaded.attempt_id)
            if attempt is not None and learnt.seen is not None:
                _record(session, row, attempt, learnt.seen, loaded.spec, now=now)
            return await _Apply(session, row, attempt, loaded, learnt, self._clock, now).run()


@dataclass(frozen=True, slots=True)
class _Apply:
    """Writes one action down; each method returns when to look again."""

    session: AsyncSession
    row: Job
    attempt: JobAttempt | None
    loaded: Loaded
    learnt: Learnt
    clock: Clock
    now: datetime

    async def run(self) -> datetime | None:
        match self.learnt.action:
            case Action.PLACE:
                return await self._place()
            case Action.ASK_STOP:
                if self.row.state is not JobState.STOPPING:
                    self._move("stop")
                return self._soon()
            case Action.MARK_RUNNING:
                self._move("started", attempt=self.row.attempt, attempt_id=self.loaded.handle)
                self.row.detail = ""
                return self._soon()
            case Action.FINISH:
                self._move("finish")
                return self.now
            case Action.SUCCEED:
                return await self._succeed()
            case Action.RETRY:
                return await self._retry()
            case Action.FAIL:
                return await self._fail()
            case Action.MARK_STOPPED:
                return await self._stopped()
            case _:
                return self._wait()

    def _wait(self) -> datetime | None:
        if self.row.state is JobState.PENDING:
            return None  # Woken by the lease, or by its owner.
        if self.learnt.seen is not None:
            self.row.detail = self.learnt.seen.detail[:500]
        if self.row.state is JobState.STARTING and self.attempt is not None:
            return self._after_half_of(self.now - self.attempt.created_at)
        return self._soon()

    async def _place(self) -> datetime:
        assert self.row.lease_id is not None
        lease = await LeaseService(self.session, self.clock).take_up(self.row.lease_id)
        assert lease.site_id is not None
        assert lease.driver is not None
        self.row.attempt += 1
        self.row.site_id = lease.site_id
        self.row.reason = None
        attempt = JobAttempt(
            id=new_id(JobAttempt.id_prefix),
            created_at=self.now,
            organization_id=self.row.organization_id,
            project_id=self.row.project_id,
            job_id=self.row.id,
            number=self.row.attempt,
            lease_id=lease.id,
            driver=lease.driver,
            site_id=lease.site_id,
            node_names=lease.node_names,
        )
        self.session.add(attempt)
        self._move(
            "place",
            attempt=attempt.number,
            attempt_id=attempt.id,
            site_id=lease.site_id,
            nodes=lease.node_names[:64],
        )
        return self.now

    async def _succeed(self) -> datetime | None:
        outputs = [
            {
                **output.model_dump(),
                "files": [asdict(file) for file in self.learnt.outputs[output.path]],
            }
            for output in self.loaded.spec.outputs
        ]
        if outputs:
            enqueue(self.session, OUTPUTS_TOPIC, self._outputs_payload(outputs), now=self.now)
        return await self._end("succeed", outputs=len(outputs))

    def _outputs_payload(self, outputs: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "job_id": self.row.id,
            "job_name": self.row.name,
            "organization_id": self.row.organization_id,
            "project_id": self.row.project_id,
            "label": self.row.label,
            "inputs": self.row.inputs,
            "outputs": outputs,
        }

    async def _retry(self) -> datetime | None:
        assert self.row.lease_id is not None
        self._close_attempt()
        leases = LeaseService(self.session, self.clock)
        await leases.release(self.row.lease_id, actor=ACTOR)
        self.row.lease_id = await request_lease(leases, self.row, self.loaded.spec, actor=ACTOR)
        cause, message = self._ending()
        self.row.reason = {
            "code": "retrying",
            "message": f"attempt {self.row.attempt} ended: {message}",
            "hint": f"attempt {self.row.attempt + 1} of {self.loaded.spec.retry.attempts} follows",
        }
        self._move("retry", attempt=self.row.attempt, cause=cause)
        return None

    async def _fail(self) -> datetime | None:
        if self.learnt.refusal is not None:
            refusal = self.learnt.refusal
            self.row.reason = {"code": refusal.code, "message": str(refusal), "hint": refusal.hint}
            cause = refusal.code
        elif self.learnt.lost_output is not None:
            cause = "output_missing"
            self.row.reason = {
                "code": cause,
                "message": self.learnt.lost_output,
                "hint": "write regular files below $GALERNE_OUTPUTS, or drop the output from the file",
            }
        else:
            cause, message = self._ending()
            self.row.reason = {
                "code": cause,
                "message": message,
                "hint": HINTS.get(cause, "read its log"),
            }
        return await self._end("fail", cause=cause)

    async def _stopped(self) -> datetime | None:
        if self.row.state in {JobState.STARTING, JobState.RUNNING}:
            self._move("stop")
        verb = "stop" if self.row.state is JobState.PENDING else "stopped"
        return await self._end(verb)

    async def _end(self, verb: str, **data: Any) -> datetime | None:
        self._close_attempt()
        self._move(verb, **data)
        self.row.ended_at = self.now
        self.row.detail = ""
        if self.row.lease_id is not None:
            await LeaseService(self.session, self.clock).release(self.row.lease_id, actor=ACTOR)
        return None

    def _close_attempt(self) -> None:
        """Write down how the attempt ended where the engine has no end of it to show."""
        attempt, refusal = self.attempt, self.learnt.refusal
        if attempt is None or attempt.cause is not None:
            return
        attempt.ended_at = self.now
        if refusal is not None:
            attempt.cause, attempt.message = ExitCause.LAUNCH_FAILED.value, str(refusal)[:500]
        elif self.learnt.action is Action.MARK_STOPPED:
            attempt.cause = ExitCause.STOPPED.value
        else:
            attempt.cause, attempt.message = self._ending()

    def _ending(self) -> tuple[str, str]:
        seen = self.learnt.seen
        if seen is None or seen.exit is None:
            return ExitCause.INTERRUPTED.value, "the engine has lost it"
        told = seen.exit.message or f"exit code {seen.exit.exit_code}"
        return seen.exit.cause.value, told

    def _move(self, verb: str, **data: Any) -> None:
        transition(self.session, self.row, verb, actor=ACTOR, at=self.now, data=data)

    def _after_half_of(self, waited: timedelta) -> datetime:
        """Most programs are up at once, and some images take minutes."""
        seconds = max(OBSERVE_SECONDS_MIN, waited.total_seconds() / 2)
        return self.now + timedelta(seconds=min(OBSERVE_SECONDS, seconds))

    def _soon(self) -> datetime:
        return self.now + timedelta(seconds=OBSERVE_SECONDS)


HINTS = {
    ExitCause.FAILED.value: "read its log; `retry: {on_events: [error]}` would try again",
    ExitCause.OUT_OF_MEMORY.value: "ask for more memory in `resources`",
    ExitCause.TIME_LIMIT.value: "raise `max_duration`, or save checkpoints and continue from them",
    ExitCause.DISK_LIMIT.value: "ask for more disk in `resources`, or write less",
    ExitCause.INTERRUPTED.value: "`retry: {on_events: [interruption]}` would try again",
    ExitCause.LAUNCH_FAILED.value: "check `commands`, `working_dir` and `image`",
}


def _load(row: Job, attempt: JobAttempt | None, leases: Mapping[str, CapacityLease]) -> Loaded:
    spec = JobSpec.model_validate(row.spec)
    lease = leases.get(row.lease_id or "")
    on_engine = attempt is not None and row.state is not JobState.PENDING
    return Loaded(
        job_id=row.id,
        situation=Situation(
            state=row.state,
            stop_wanted=row.wanted == "stop",
            capacity_held=lease is not None and lease.state is LeaseState.HELD,
            attempt=row.attempt,
            retry=spec.retry,
        ),
        spec=spec,
        attempt_id=attempt.id if attempt else None,
        driver=attempt.driver if on_engine and attempt else None,
        handle=attempt.id if on_engine and attempt else None,
        node_names=tuple(attempt.node_names) if on_engine and attempt else (),
        files=tuple(StoredFile(**file) for file in row.files),
        inputs=tuple(
            StagedInput(
                name=given["mount"],
                digest=given["digest"],
                files=tuple(StoredFile(**file) for file in given["files"]),
            )
            for given in row.inputs
        ),
        labels={"organization": row.organization_id, "project": row.project_id, "job": row.id},
    )


def _record(
    session: AsyncSession,
    row: Job,
    attempt: JobAttempt,
    seen: Observation,
    spec: JobSpec,
    *,
    now: datetime,
) -> None:
    attempt.started_at = attempt.started_at or seen.started_at
    row.started_at = row.started_at or seen.started_at
    meter(
        session,
        attempt,
        seen,
        workload_id=row.id,
        workload_kind="job",
        accelerator_type=spec.resources.accelerators()[0],
        label=row.label,
        now=now,
    )
    if seen.exit is not None and attempt.cause is None:
        attempt.ended_at = seen.ended_at or now
        attempt.cause = seen.exit.cause.value
        attempt.exit_code = seen.exit.exit_code
        attempt.signal = seen.exit.signal
        attempt.message = seen.exit.message[:500]


def _quoted(path: object) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
