"""Jobs: batch runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from galerne_client.base import parsed_as
from galerne_client.calls import Call, Steps, Stream
from galerne_client.models import Job, JobDetail, Plan, UploadedFile, Why
from galerne_client.resource import ExecutorT, Resource, operation, paged, procedure, stream
from galerne_client.resources.following import JOB_ENDED, followed_job
from galerne_client.resources.workloads import (
    LogChunk,
    followed_log,
    log_call,
    request_body,
    waited,
)


class Jobs(Resource[ExecutorT]):
    """Batch runs, from `type: job` files."""

    @operation
    def plan(
        self,
        spec: Mapping[str, Any],
        *,
        files: Sequence[UploadedFile] = (),
        project: str | None = None,
    ) -> Call[Plan]:
        """Say where it would run and why, and what it would cost. Changes nothing."""
        body = request_body(spec, files, project or self._project)
        return Call(method="POST", path="/jobs/plan", json=body, parse=parsed_as(Plan))

    @operation
    def create(
        self,
        spec: Mapping[str, Any],
        *,
        files: Sequence[UploadedFile] = (),
        project: str | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Job]:
        """Submit it. Files must have been uploaded before (`artifacts.upload`)."""
        return Call(
            method="POST",
            path="/jobs",
            json=request_body(spec, files, project or self._project),
            parse=parsed_as(Job),
            idempotency_key=idempotency_key,
        )

    @stream
    def list(
        self,
        *,
        project: str | None = None,
        states: Sequence[str] = (),
        name: str | None = None,
        rows_max: int | None = None,
    ) -> Stream[Job]:
        """Give jobs, newest first."""
        return paged(
            "/jobs",
            Job,
            rows_max=rows_max,
            project=project or self._project,
            state=list(states) or None,
            name=name,
        )

    @operation
    def get(self, job_id: str) -> Call[JobDetail]:
        return Call(method="GET", path=f"/jobs/{job_id}", parse=parsed_as(JobDetail))

    @operation
    def stop(self, job_id: str) -> Call[Job]:
        """Ask it to end: SIGTERM, its grace, then SIGKILL. Asking again changes nothing."""
        return Call(method="POST", path=f"/jobs/{job_id}/stop", parse=parsed_as(Job))

    @operation
    def why(self, job_id: str) -> Call[Why]:
        """Say what it waits for or why it failed, and what would change that."""
        return Call(method="GET", path=f"/jobs/{job_id}/why", parse=parsed_as(Why))

    @operation
    def logs(
        self, job_id: str, *, offset: int = 0, wait_seconds: int = 0, attempt: int | None = None
    ) -> Call[LogChunk]:
        """Read output of an attempt (the latest) from `offset` on, waiting for some if asked to."""
        return log_call(
            f"/jobs/{job_id}/logs", offset=offset, wait_seconds=wait_seconds, attempt=attempt
        )

    @stream
    def follow_logs(
        self, job_id: str, *, offset: int = 0, attempt: int | None = None
    ) -> Stream[LogChunk]:
        """Give output as it is written, until there will be no more."""
        return followed_log(f"/jobs/{job_id}/logs", offset=offset, attempt=attempt)

    @stream
    def follow(self, job_id: str, *, first_attempt: int = 1) -> Stream[JobDetail | LogChunk]:
        """Give the job at each change, and its output as it is written, until it has ended."""
        return followed_job(job_id, first_attempt=first_attempt)

    @procedure
    def wait(self, job_id: str, *, timeout_seconds: float | None = None) -> Steps[JobDetail]:
        """Return the job when it has ended. Raises NoAnswerInTimeError."""
        call = Call(method="GET", path=f"/jobs/{job_id}", parse=parsed_as(JobDetail))
        return waited(call, lambda job: job.state in JOB_ENDED, timeout_seconds=timeout_seconds)
