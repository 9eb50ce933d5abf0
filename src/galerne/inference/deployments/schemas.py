"""What goes in and out of the deployments API. `DeploymentSpec` is the YAML file's `type: deployment`."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from galerne.compute.jobs.schemas import Reason
from galerne.compute.spec import WorkloadSpec
from galerne.inference.deployments.states import DeploymentState, ReplicaState

REPLICAS_MAX = 1_000


class DeploymentSpec(WorkloadSpec):
    """A served model."""

    type: Literal["deployment"]
    model: Annotated[str, Field(max_length=100, description="`name` or `name:version`.")]
    runtime: Annotated[str | None, Field(description="By the weights' format if left out.")] = None
    replicas: Annotated[int, Field(ge=1, le=REPLICAS_MAX)] = 1
    context_tokens: Annotated[
        int, Field(ge=128, le=2**21, description="Largest prompt plus answer of one request.")
    ] = 2048
    parallel: Annotated[
        int, Field(ge=1, le=1024, description="Requests that a replica decodes together.")
    ] = 4


class DeploymentCreate(BaseModel):
    """A deployment and the project it is for."""

    project: str | None = Field(None, description="Name or id; the key's own project if left out.")
    spec: DeploymentSpec


class ReplicaOut(BaseModel):
    """One copy."""

    id: str
    state: ReplicaState
    driver: str | None
    site_id: str | None
    node_names: list[str]
    detail: str
    reason: Reason | None
    created_at: datetime
    started_at: datetime | None
    ready_at: datetime | None
    ended_at: datetime | None


class DeploymentOut(BaseModel):
    """A deployment."""

    id: str
    kind: Literal["deployment"]
    name: str
    organization_id: str
    project_id: str
    state: DeploymentState
    wanted: Literal["run", "stop"]
    replicas_wanted: int
    replicas_ready: int
    model: dict[str, Any]
    runtime: str
    label: dict[str, Any]
    spec: dict[str, Any]
    reason: Reason | None
    submitted_by: str
    created_at: datetime
    ready_at: datetime | None
    ended_at: datetime | None


class DeploymentDetail(DeploymentOut):
    """A deployment with its replicas, the newest first."""

    replicas: list[ReplicaOut]
