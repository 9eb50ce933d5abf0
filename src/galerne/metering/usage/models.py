"""Tables of usage. A row is written once and never updated: a correction is another record."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, ProjectRecord
from galerne.db.types import Json, JsonObject, UtcDateTime

SOURCE_ID_LENGTH_MAX = 200
NAME_LENGTH_MAX = 200


class WorkloadKind(StrEnum):
    """What used it."""

    JOB = "job"
    DEPLOYMENT = "deployment"
    ARTIFACT = "artifact"  # Kept in the object store.


class UsageRecord(ProjectRecord):
    """Something that was used: one meter, one window, one workload. `source_id` makes it exact."""

    __tablename__ = "usage_records"
    __table_args__ = (
        UniqueConstraint("source_id"),
        Index("ix_usage_records_organization_id_ended_at", "organization_id", "ended_at"),
        Index("ix_usage_records_workload_id", "workload_id"),
    )
    id_prefix = "use"

    source_id: Mapped[str] = mapped_column(String(SOURCE_ID_LENGTH_MAX))
    meter: Mapped[str] = mapped_column(String(ID_LENGTH))
    quantity: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str] = mapped_column(String(ID_LENGTH))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)  # Its price is the one in force then.
    workload_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    workload_kind: Mapped[str] = mapped_column(String(ID_LENGTH))
    site_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    model: Mapped[str | None] = mapped_column(String(NAME_LENGTH_MAX))
    key_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    accelerator_type: Mapped[str | None] = mapped_column(String(NAME_LENGTH_MAX))
    # Set on records of the energy meter alone, so that a sum over any records counts no joule twice.
    energy_microwatt_hours: Mapped[int | None] = mapped_column(BigInteger)
    energy_method: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    energy_note: Mapped[str | None] = mapped_column()
    carbon_micrograms: Mapped[int | None] = mapped_column(BigInteger)
    carbon_source: Mapped[str | None] = mapped_column()
    label: Mapped[JsonObject] = mapped_column(Json)


class UsageRefusal(ProjectRecord):
    """A record that was refused, kept whole: usage is never lost, also where it cannot be taken."""

    __tablename__ = "usage_refusals"
    __table_args__ = (UniqueConstraint("source_id", "fingerprint"),)
    id_prefix = "usr"

    source_id: Mapped[str] = mapped_column(String(SOURCE_ID_LENGTH_MAX))
    fingerprint: Mapped[str] = mapped_column(String(64))  # SHA-256 of what came: kept once.
    code: Mapped[str] = mapped_column(String(ID_LENGTH))
    message: Mapped[str] = mapped_column()
    record: Mapped[JsonObject] = mapped_column(Json)
