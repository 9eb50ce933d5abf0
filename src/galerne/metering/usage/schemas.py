"""What a source hands in, what comes of it, and what the API shows."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from galerne.db.types import JsonObject
from galerne.rest.errors import GalerneError


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecordIn:
    """One thing used, as its source says it. The unit is the meter's own."""

    source_id: str  # Chosen by the source: sent again, it changes nothing.
    organization_id: str
    project_id: str
    meter: str
    quantity: int
    started_at: datetime
    ended_at: datetime
    workload_id: str
    workload_kind: str
    site_id: str | None = None
    model: str | None = None
    key_id: str | None = None
    accelerator_type: str | None = None
    energy_microwatt_hours: int | None = None
    energy_method: str | None = None
    energy_note: str | None = None
    carbon_micrograms: int | None = None
    carbon_source: str | None = None
    label: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that was not taken, and why."""

    record: UsageRecordIn
    error: GalerneError


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a batch: every record of it is counted in exactly one of the three."""

    recorded: int
    repeated: int  # Here already, word for word.
    refused: tuple[Refused, ...]


class UsageRecordOut(BaseModel):
    """A usage record."""

    id: str
    created_at: datetime
    project_id: str
    source_id: str
    meter: str
    quantity: int
    unit: str
    started_at: datetime
    ended_at: datetime
    workload_id: str
    workload_kind: str
    site_id: str | None
    model: str | None
    key_id: str | None
    accelerator_type: str | None
    energy_microwatt_hours: int | None
    energy_method: str | None
    energy_note: str | None
    carbon_micrograms: int | None
    carbon_source: str | None
    label: dict[str, Any]
