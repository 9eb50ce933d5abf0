"""Following a workload: what changes about it, and a job's output, in the order in which they come."""

from collections.abc import Generator
from typing import Any

from galerne_client.base import parsed_as
from galerne_client.calls import Call, Item, Pause, Stream, ask
from galerne_client.errors import NotFoundError
from galerne_client.models import DeploymentDetail, JobDetail
from galerne_client.resources.workloads import POLL_SECONDS, LogChunk, log_call

LOG_HOLD_SECONDS = 1
EMPTY_READS_MAX = 20  # After the end: a log that will not complete is not waited for for ever.
JOB_ENDED = frozenset({"succeeded", "failed", "stopped"})
DEPLOYMENT_ENDED = frozenset({"stopped", "failed"})


def followed_job(job_id: str, *, first_attempt: int = 1) -> Stream[JobDetail | LogChunk]:
    """Give the job at each change, and its output, one attempt after the other, until it has ended."""
    attempt, offset, empty_reads = first_attempt, 0, 0
    shown: tuple[object, ...] = ()
    while True:
        job = yield from ask(Call(method="GET", path=f"/jobs/{job_id}", parse=parsed_as(JobDetail)))
        if (now := (job.state, job.attempt, job.detail, job.reason)) != shown:
            shown = now
            yield Item(job)
        has_ended = job.state in JOB_ENDED
        chunk = None
        if job.attempt >= attempt:
            hold = 0 if has_ended or job.attempt > attempt else LOG_HOLD_SECONDS
            chunk = yield from _read(job_id, offset=offset, hold_seconds=hold, attempt=attempt)
        if chunk is not None and chunk.data:
            yield Item(chunk)
            offset, empty_reads = chunk.next_offset, 0
        elif has_ended or job.attempt > attempt:
            empty_reads += 1
        is_complete = chunk is not None and chunk.is_complete
        if job.attempt > attempt and (is_complete or empty_reads >= EMPTY_READS_MAX):
            attempt, offset, empty_reads = attempt + 1, 0, 0
        elif has_ended and (job.attempt < attempt or is_complete or empty_reads >= EMPTY_READS_MAX):
            return
        elif chunk is None or not chunk.data:
            yield Pause(POLL_SECONDS)


def _read(
    job_id: str, *, offset: int, hold_seconds: int, attempt: int
) -> Generator[Call[LogChunk], Any, LogChunk | None]:
    """Read on; None while the attempt has no log yet."""
    try:
        return (
            yield from ask(
                log_call(
                    f"/jobs/{job_id}/logs",
                    offset=offset,
                    wait_seconds=hold_seconds,
                    attempt=attempt,
                )
            )
        )
    except NotFoundError:
        return None


def is_settled(deployment: DeploymentDetail) -> bool:
    """Say whether it is where it is wanted: serving, or ended."""
    if deployment.wanted == "run" and deployment.state == "running":
        return True
    return deployment.state in DEPLOYMENT_ENDED


def followed_deployment(deployment_id: str) -> Stream[DeploymentDetail]:
    """Give the deployment at each change until it serves, or has ended."""
    shown: tuple[object, ...] = ()
    while True:
        current = yield from ask(
            Call(
                method="GET",
                path=f"/deployments/{deployment_id}",
                parse=parsed_as(DeploymentDetail),
            )
        )
        replicas = tuple((one.id, one.state, one.detail) for one in current.replicas)
        if (now := (current.state, current.replicas_ready, replicas)) != shown:
            shown = now
            yield Item(current)
        if is_settled(current):
            return
        yield Pause(POLL_SECONDS)
