"""Leases as plain rows: what is read of them by the thousand, without the ORM."""

from dataclasses import dataclass
from datetime import datetime

from galerne.db.types import JsonObject


@dataclass(frozen=True, slots=True)
class Queued:
    """A waiting lease as the scheduler reads it: plain columns, cheap by the thousand."""

    id: str
    project_id: str
    cpu_millis: int
    memory_bytes: int
    disk_bytes: int
    accelerator_type: str | None
    accelerators: int
    nodes: int
    label: JsonObject
    site: str | None
    priority: int
    shape: str
    requested_at: datetime
    waiting: JsonObject | None
    turn: int  # 1 for the project's oldest of this priority, 2 for the next.
