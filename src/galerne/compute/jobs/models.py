"""Tables of jobs and their attempts. Wanted and actual are different columns."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from galerne.compute.jobs.states import TRANSITIONS, JobState
from galerne.compute.windows import Metered
from galerne.db.base import ID_LENGTH, ProjectRecord
from galerne.db.types import Json, JsonObject, UtcDateTime, enum_column
from galerne.events.transition import Transitions
from galerne.worker.claims import ClaimableRecord


class Job(ProjectRecord, ClaimableRecord):
    """What a customer asked for, and how far it is."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_state_id", "state", "id"),
        # An organization's list, newest first: a page costs the same however many jobs there are.
        Index("ix_jobs_organization_id_id", "organization_id", "id"),
    )
    id_prefix = "job"
    kind: ClassVar[str] = "job"
    transitions: ClassVar[Transitions] = TRANSITIONS

    name: Mapped[str] = mapped_column(String(63))
    spec: Mapped[JsonObject] = mapped_column(Json)  # A JobSpec, as it was accepted.
    files: Mapped[list[JsonObject]] = mapped_column(Json)  # UploadedFile objects.
    inputs: Mapped[list[JsonObject]] = mapped_column(Json)  # What `inputs` resolved to, once.
    label: Mapped[JsonObject] = mapped_column(Json)  # Project ∩ inputs, fixed at submission.
    submitted_by: Mapped[str] = mapped_column(String(ID_LENGTH))

    wanted: Mapped[str] = mapped_column(String(10), default="run")  # "run" or "stop".
    state: Mapped[JobState] = mapped_column(enum_column(JobState))
    attempt: Mapped[int] = mapped_column(default=0)  # Number of the latest attempt; 0: none yet.
    lease_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True)
    site_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    reason: Mapped[JsonObject | None] = mapped_column(Json)  # {code, message, hint} for `why`.
    detail: Mapped[str] = mapped_column(String(500), default="")  # Progress while starting.
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # First attempt's start.
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class JobAttempt(ProjectRecord, Metered):
    """One try on the engine. Its id is the handle, stored before the engine is asked."""

    __tablename__ = "job_attempts"
    __table_args__ = (UniqueConstraint("job_id", "number"),)
    id_prefix = "att"

    job_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    number: Mapped[int] = mapped_column()
    lease_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    driver: Mapped[str] = mapped_column(String(20))
    site_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    node_names: Mapped[list[str]] = mapped_column(Json)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cause: Mapped[str | None] = mapped_column(String(20))
    exit_code: Mapped[int | None] = mapped_column()
    signal: Mapped[int | None] = mapped_column()
    message: Mapped[str] = mapped_column(String(500), default="")
