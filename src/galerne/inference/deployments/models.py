"""Tables of deployments and replicas. Wanted and actual are different columns."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from galerne.compute.windows import Metered
from galerne.db.base import ID_LENGTH, ProjectRecord
from galerne.db.types import Json, JsonObject, UtcDateTime, enum_column
from galerne.events.transition import Transitions
from galerne.inference.deployments.states import (
    DEPLOYMENT_TRANSITIONS,
    REPLICA_TRANSITIONS,
    DeploymentState,
    ReplicaState,
)
from galerne.worker.claims import ClaimableRecord


class Deployment(ProjectRecord, ClaimableRecord):
    """A model to be served."""

    __tablename__ = "deployments"
    __table_args__ = (Index("ix_deployments_project_id_name", "project_id", "name"),)
    id_prefix = "dep"
    kind: ClassVar[str] = "deployment"
    transitions: ClassVar[Transitions] = DEPLOYMENT_TRANSITIONS

    name: Mapped[str] = mapped_column(String(63))
    spec: Mapped[JsonObject] = mapped_column(Json)  # A DeploymentSpec, as it was accepted.
    model: Mapped[JsonObject] = mapped_column(Json)  # What `model` resolved to, once.
    runtime: Mapped[str] = mapped_column(String(20))
    label: Mapped[JsonObject] = mapped_column(Json)  # Project ∩ model, fixed at submission.
    submitted_by: Mapped[str] = mapped_column(String(ID_LENGTH))

    wanted: Mapped[str] = mapped_column(String(10), default="run")  # "run" or "stop".
    state: Mapped[DeploymentState] = mapped_column(enum_column(DeploymentState))
    reason: Mapped[JsonObject | None] = mapped_column(Json)
    ready_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # First time a replica was.
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Replica(ProjectRecord, ClaimableRecord, Metered):
    """One copy of a deployment. Its id is the engine's handle, stored before the engine is asked."""

    __tablename__ = "replicas"
    __table_args__ = (Index("ix_replicas_state", "state"),)
    id_prefix = "rep"
    kind: ClassVar[str] = "replica"
    transitions: ClassVar[Transitions] = REPLICA_TRANSITIONS

    deployment_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    lease_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    wanted: Mapped[str] = mapped_column(String(10), default="run")  # "run" or "end".
    state: Mapped[ReplicaState] = mapped_column(enum_column(ReplicaState))
    driver: Mapped[str | None] = mapped_column(String(20))
    site_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    node_names: Mapped[list[str]] = mapped_column(Json, default=list)
    port: Mapped[int | None] = mapped_column()
    base_url: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[JsonObject | None] = mapped_column(Json)
    detail: Mapped[str] = mapped_column(String(500), default="")
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ready_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    drain_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    unready_since: Mapped[datetime | None] = mapped_column(
        UtcDateTime
    )  # First failed probe in a row.
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
