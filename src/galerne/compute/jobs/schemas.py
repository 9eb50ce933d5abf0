"""What goes in and out of the jobs API. `JobSpec` is the YAML file's `type: job`."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from galerne.compute.jobs.states import JobState
from galerne.compute.spec import (
    COMMANDS_MAX,
    FILES_MAX,
    DurationSeconds,
    InputSpec,
    Name,
    NetworkWord,
    RelativePath,
    Spec,
    UploadedFile,
    WorkloadSpec,
)
from galerne.drivers.base import ExitCause, Network

RetryEvent = Literal["no-capacity", "error", "interruption", "out-of-memory"]

# Which causes each word of `retry.on_events` covers. A job without capacity waits in any case.
RETRY_CAUSES: dict[str, frozenset[ExitCause]] = {
    "no-capacity": frozenset(),
    "error": frozenset({ExitCause.FAILED, ExitCause.LAUNCH_FAILED}),
    "interruption": frozenset({ExitCause.INTERRUPTED}),
    "out-of-memory": frozenset({ExitCause.OUT_OF_MEMORY}),
}


class RetrySpec(Spec):
    """When a failed attempt is followed by another."""

    on_events: list[RetryEvent] = ["interruption"]
    attempts: Annotated[
        int, Field(ge=1, le=100, description="All attempts, the first included.")
    ] = 3

    def covers(self, cause: ExitCause) -> bool:
        return any(cause in RETRY_CAUSES[event] for event in self.on_events)


class OutputSpec(Spec):
    """A directory below $GALERNE_OUTPUTS that is kept when the job succeeds."""

    path: RelativePath
    model: Name | None = Field(None, description="Register it as a model of this name.")
    dataset: Name | None = Field(None, description="Register it as a dataset of this name.")
    licence: str | None = Field(None, max_length=200)


class JobSpec(WorkloadSpec):
    """A batch run."""

    type: Literal["job"]
    image: str | None = Field(None, max_length=200, description="An environment of the engine's.")
    working_dir: RelativePath = "."
    files: Annotated[list[RelativePath], Field(max_length=FILES_MAX)] = []
    inputs: Annotated[list[InputSpec], Field(max_length=100)] = []
    commands: Annotated[list[str], Field(min_length=1, max_length=COMMANDS_MAX)]
    nodes: Annotated[int, Field(ge=1, le=10_000)] = 1
    network: NetworkWord = Network.NONE
    max_duration: DurationSeconds | None = None
    retry: RetrySpec = RetrySpec(attempts=1)
    outputs: Annotated[list[OutputSpec], Field(max_length=100)] = []


class JobCreate(BaseModel):
    """A job and the project it is for."""

    project: str | None = Field(None, description="Name or id; the key's own project if left out.")
    spec: JobSpec
    files: Annotated[list[UploadedFile], Field(max_length=FILES_MAX)] = []


class Reason(BaseModel):
    """Why something is as it is, and what would change that."""

    code: str
    message: str
    hint: str


class AttemptOut(BaseModel):
    """One try on the engine."""

    id: str
    number: int
    driver: str
    site_id: str
    node_names: list[str]
    started_at: datetime | None
    ended_at: datetime | None
    cause: str | None
    exit_code: int | None
    signal: int | None
    message: str
    cpu_nanoseconds: int
    memory_peak_bytes: int
    accelerator_milliseconds: int


class JobOut(BaseModel):
    """A job."""

    id: str
    kind: Literal["job"]
    name: str
    organization_id: str
    project_id: str
    state: JobState
    wanted: Literal["run", "stop"]
    attempt: int
    detail: str
    label: dict[str, Any]
    site_id: str | None
    spec: dict[str, Any]
    reason: Reason | None
    submitted_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class JobDetail(JobOut):
    """A job with its attempts and what it used from the registry."""

    attempts: list[AttemptOut]
    inputs: list[dict[str, Any]]


class WhyOut(BaseModel):
    """The answer to "why": one sentence, what would change it, and what it rests on."""

    id: str
    state: str
    reason: Reason
    facts: dict[str, Any]
