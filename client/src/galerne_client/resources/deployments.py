"""Deployments: served models."""

from collections.abc import Mapping, Sequence
from typing import Any

from galerne_client.base import parsed_as
from galerne_client.calls import Call, Steps, Stream
from galerne_client.models import Deployment, DeploymentDetail, Plan, Why
from galerne_client.resource import ExecutorT, Resource, operation, paged, procedure, stream
from galerne_client.resources.following import followed_deployment, is_settled
from galerne_client.resources.workloads import (
    LogChunk,
    followed_log,
    log_call,
    request_body,
    waited,
)


class Deployments(Resource[ExecutorT]):
    """Served models with replicas, from `type: deployment` files."""

    @operation
    def plan(
        self,
        spec: Mapping[str, Any],
        *,
        project: str | None = None,
    ) -> Call[Plan]:
        """Say where it would run and why, and what it would cost. Changes nothing."""
        body = request_body(spec, (), project or self._project)
        return Call(method="POST", path="/deployments/plan", json=body, parse=parsed_as(Plan))

    @operation
    def create(
        self,
        spec: Mapping[str, Any],
        *,
        project: str | None = None,
        idempotency_key: str | None = None,
    ) -> Call[Deployment]:
        """Submit it."""
        return Call(
            method="POST",
            path="/deployments",
            json=request_body(spec, (), project or self._project),
            parse=parsed_as(Deployment),
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
    ) -> Stream[Deployment]:
        """Give deployments, newest first."""
        return paged(
            "/deployments",
            Deployment,
            rows_max=rows_max,
            project=project or self._project,
            state=list(states) or None,
            name=name,
        )

    @operation
    def get(self, deployment_id: str) -> Call[DeploymentDetail]:
        return Call(
            method="GET", path=f"/deployments/{deployment_id}", parse=parsed_as(DeploymentDetail)
        )

    @operation
    def stop(self, deployment_id: str) -> Call[Deployment]:
        """Ask it to end: SIGTERM, its grace, then SIGKILL. Asking again changes nothing."""
        return Call(
            method="POST",
            path=f"/deployments/{deployment_id}/stop",
            parse=parsed_as(Deployment),
        )

    @operation
    def why(self, deployment_id: str) -> Call[Why]:
        """Say what it waits for or why it failed, and what would change that."""
        return Call(method="GET", path=f"/deployments/{deployment_id}/why", parse=parsed_as(Why))

    @operation
    def logs(
        self,
        deployment_id: str,
        *,
        offset: int = 0,
        wait_seconds: int = 0,
        replica: str | None = None,
    ) -> Call[LogChunk]:
        """Read output from `offset` on, waiting up to `wait_seconds` for some."""
        return log_call(
            f"/deployments/{deployment_id}/logs",
            offset=offset,
            wait_seconds=wait_seconds,
            replica=replica,
        )

    @stream
    def follow_logs(
        self, deployment_id: str, *, offset: int = 0, replica: str | None = None
    ) -> Stream[LogChunk]:
        """Give output as it is written, until there will be no more."""
        return followed_log(f"/deployments/{deployment_id}/logs", offset=offset, replica=replica)

    @stream
    def follow(self, deployment_id: str) -> Stream[DeploymentDetail]:
        """Give the deployment at each change until it serves or has ended."""
        return followed_deployment(deployment_id)

    @procedure
    def wait(
        self, deployment_id: str, *, timeout_seconds: float | None = None
    ) -> Steps[DeploymentDetail]:
        """Return it when it is where it is wanted: serving, or ended. Raises NoAnswerInTimeError."""
        call = Call(
            method="GET", path=f"/deployments/{deployment_id}", parse=parsed_as(DeploymentDetail)
        )
        return waited(call, is_settled, timeout_seconds=timeout_seconds)
