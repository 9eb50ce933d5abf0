"""Jobs: batch runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from galerne_client.base import parsed_as
from galerne_client.calls import Call, Steps, Stream
from galerne_client.models import Job, JobDetail, Plan, UploadedFile, Why
from galerne_client.resource import ExecutorT, Resource, operation, paged, procedure, stream
from galerne_client.resources.workloads import (
    LogChunk,
    followed_log,
    log_call,
    request_body,
    waited,
)

ENDED = frozenset({"succeeded", "failed", "stopped"})


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
    ) -> Call[JobDetail]:
        """Submit it. Files must have been uploaded before (`artifacts.upload`)."""
        return Call(
            method="POST",
            path="/jobs",
            json=request_body(spec, files, project or self._project),
            parse=parsed_as(JobDetail),
            idempotency_key=idempotency_key,
        )

    @stream
    def list(
        self, *, project: str | None = None, state: str | None = None, rows_max: int | None = None
    ) -> Stream[Job]:
        """Give jobs, newest first."""
        return paged("/jobs", Job, rows_max=rows_max, project=project or self._project, state=state)

    @operation
    def get(self, job_id: str) -> Call[JobDetail]:
        return Call(method="GET", path=f"/jobs/{job_id}", parse=parsed_as(JobDetail))

    @operation
    def stop(self, job_id: str) -> Call[JobDetail]:
        """Ask it to end: SIGTERM, its grace, then SIGKILL. Asking again changes nothing."""
        return Call(method="POST", path=f"/jobs/{job_id}/stop", parse=parsed_as(JobDetail))

    @operation
    def why(self, job_id: str) -> Call[Why]:
        """Say what it waits for or why it failed, and what would change that."""
        return Call(method="GET", path=f"/jobs/{job_id}/why", parse=parsed_as(Why))

    @operation
    def logs(self, job_id: str, *, offset: int = 0, wait_seconds: int = 0) -> Call[LogChunk]:
        """Read output from `offset` on, waiting up to `wait_seconds` for some."""
        return log_call(f"/jobs/{job_id}/logs", offset=offset, wait_seconds=wait_seconds)

    @stream
    def follow_logs(self, job_id: str, *, offset: int = 0) -> Stream[LogChunk]:
        """Give output as it is written, until there will be no more."""
        return followed_log(f"/jobs/{job_id}/logs", offset=offset)

    @procedure
    def wait(self, job_id: str, *, timeout_seconds: float | None = None) -> Steps[JobDetail]:
        """Return the job when it has ended. Raises NoAnswerInTimeError."""
        call = Call(method="GET", path=f"/jobs/{job_id}", parse=parsed_as(JobDetail))
        return waited(call, lambda job: job.state in ENDED, timeout_seconds=timeout_seconds)
