"""Tables of jobs and their attempts. Wanted and actual are different columns."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, Enum, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from galerne.compute.jobs.states import TRANSITIONS, JobState
from galerne.db.base import ID_LENGTH, ProjectRecord
from galerne.db.types import Json, JsonObject, UtcDateTime
from galerne.events.transition import Transitions
from galerne.worker.claims import Claimable, ClaimableRecord


def _state_column(states: type[JobState]) -> Enum:
    return Enum(
        states, native_enum=False, length=20, values_callable=lambda kinds: [k.value for k in kinds]
    )


class Job(ProjectRecord, ClaimableRecord, Claimable):
    """What a customer asked for, and how far it is."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_state_id", "state", "id"),)
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
    state: Mapped[JobState] = mapped_column(_state_column(JobState))
    attempt: Mapped[int] = mapped_column(default=0)  # Number of the latest attempt; 0: none yet.
    lease_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True)
    site_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    reason: Mapped[JsonObject | None] = mapped_column(Json)  # {code, message, hint} for `why`.
    detail: Mapped[str] = mapped_column(String(500), default="")  # Progress while starting.
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # First attempt's start.
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class JobAttempt(ProjectRecord):
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

    # The engine's cumulative counters as last seen, all of which have been sent to metering.
    cpu_nanoseconds: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_byte_seconds: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_peak_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    accelerator_milliseconds: Mapped[int] = mapped_column(BigInteger, default=0)
    energy_microjoules: Mapped[int | None] = mapped_column(BigInteger)
    metered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    metered_windows: Mapped[int] = mapped_column(default=0)  # Part of each usage record's id.
