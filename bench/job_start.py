"""From the submission of a trivial local job to its first command, and where that time goes."""

import argparse
import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from bench.harness import Claim, Report, median, percentile, progress
from bench.installation import SITE, SYSTEM, Installation, installation, job
from sqlalchemy import select

from galerne.compute.jobs.models import Job, JobAttempt
from galerne.compute.jobs.schemas import JobCreate
from galerne.compute.jobs.service import JobService
from galerne.compute.leases.models import CapacityLease
from galerne.entrypoints.worker import report_nodes, work
from galerne.events.models import LogEntry
from galerne.rest.subject import Subject

COMMANDS = ('date +%s%N > "$GALERNE_OUTPUTS/began"', "sleep 30")
PATIENCE_SECONDS = 30.0
REST_SECONDS = 0.3
STEPS = ("placed on a node", "attempt on record", "its program is up", "seen running by us")


async def measure(report: Report, folder: Path, options: argparse.Namespace) -> None:
    plain: list[float] = []
    ours: list[float] = []
    steps: list[Mapping[str, float]] = []
    async with installation(folder) as made, working(made):
        subject = await made.subject()
        for number in range(options.rounds + 1):
            direct = await asyncio.to_thread(popen, folder)
            await asyncio.sleep(REST_SECONDS)
            added, parts = await submit_and_wait(made, subject, f"start-{number}")
            await asyncio.sleep(REST_SECONDS)
            if number == 0:
                continue  # The first of each warms up what only ever happens once.
            plain.append(direct * 1000)
            ours.append(added * 1000)
            steps.append(parts)
            progress(f"start {number}: Popen {plain[-1]:.1f} ms, job {ours[-1]:.0f} ms")
        isolation = (await made.platform.drivers["local"].nodes())[0].isolation
    peer = "Popen"
    report.claims += [
        Claim.of("submit to first command, p50", "ms", median(ours), peer, median(plain)),
        Claim.of(
            "submit to first command, p99", "ms", percentile(ours, 99), peer, percentile(plain, 99)
        ),
        Claim("  added, p50", "ms", median(ours) - median(plain)),
        *(
            Claim(f"  after submission: {name}", "ms", median(each[name] for each in steps))
            for name in STEPS
        ),
    ]
    report.notes.append(f"isolation of the local job: {', '.join(isolation) or 'none'}")


@asynccontextmanager
async def working(made: Installation) -> AsyncIterator[None]:
    """Run one worker as `galerne up` does."""
    await report_nodes(made.platform)
    stop = asyncio.Event()
    task = asyncio.create_task(work(made.platform, stop, made.wakeup))
    try:
        yield
    finally:
        stop.set()
        await task


def popen(folder: Path) -> float:
    """Start the same commands as a plain process; return the seconds until the first ran."""
    outputs = folder / "plain"
    outputs.mkdir(exist_ok=True)
    marker = outputs / "began"
    marker.unlink(missing_ok=True)
    began = time.time_ns()
    process = subprocess.Popen(  # noqa: S603 - our own command
        ["/bin/sh", "-e", "-c", "\n".join(COMMANDS)],
        env={**os.environ, "GALERNE_OUTPUTS": str(outputs)},
        start_new_session=True,
    )
    try:
        return (_marked(marker, process) - began) / 1e9
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _marked(marker: Path, process: subprocess.Popen[bytes]) -> int:
    while not (text := marker.read_text("ascii") if marker.exists() else ""):
        assert process.poll() is None, "the plain process ended"
        time.sleep(0.001)  # noqa: TID251 - a benchmark is about real time
    return int(text)


async def submit_and_wait(
    made: Installation, subject: Subject, name: str
) -> tuple[float, Mapping[str, float]]:
    """Submit a job; return seconds until its first command ran, and milliseconds to each step."""
    body = JobCreate.model_validate(job(name, COMMANDS, site=SITE))
    began = time.time_ns()
    job_id = await made.submit(subject, body)
    marker = made.platform.workspaces / job_id / "outputs" / "began"
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            ran = await _ran(marker)
            steps = await _steps(made, job_id)
    finally:
        await _stop(made, subject, job_id)
    moments = {name: (at.timestamp() - began / 1e9) * 1000 for name, at in steps.items()}
    return (ran - began) / 1e9, moments


async def _ran(marker: Path) -> int:
    while True:
        with contextlib.suppress(FileNotFoundError):
            if found := marker.read_text("ascii"):  # noqa: ASYNC240 - a few bytes
                return int(found)
        await asyncio.sleep(0.005)


async def _steps(made: Installation, job_id: str) -> Mapping[str, datetime]:
    """Read when each step was; waits until the job was seen running."""
    while True:
        async with made.platform.database.read(SYSTEM) as session:
            statement = (
                select(
                    CapacityLease.held_at,
                    JobAttempt.created_at,
                    JobAttempt.started_at,
                    LogEntry.created_at,
                )
                .join(Job, Job.lease_id == CapacityLease.id)
                .join(JobAttempt, JobAttempt.job_id == Job.id)
                .join(LogEntry, LogEntry.subject_id == Job.id)
                .where(Job.id == job_id, LogEntry.kind == "job.running")
            )
            row = (await session.execute(statement)).one_or_none()
        if row is not None:
            return {name: at for name, at in zip(STEPS, row, strict=True) if at is not None}
        await asyncio.sleep(0.01)


async def _stop(made: Installation, subject: Subject, job_id: str) -> None:
    async with made.platform.database.write(subject.scope) as session:
        jobs: JobService = made.app.state.context.providers[JobService](session)
        await jobs.stop(subject, job_id)
    made.wakeup.wake()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await made.idle(0.05)
