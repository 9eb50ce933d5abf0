"""From an engine's cumulative counters to usage in windows, each sent to metering exactly once.

The counters last sent stand on the row. A window is what has been added since; it leaves through the
outbox in the transaction that moves the counters, under an id made of the handle and the window's
number. So a crash at any point loses no use and sends none twice.
"""

from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import BigInteger
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.types import JsonObject, UtcDateTime
from galerne.drivers.base import Observation, Phase
from galerne.worker.outbox import enqueue

WINDOW_SECONDS = 60
TOPIC = "usage.compute"


class Metered:
    """Columns of a row whose launch is metered: the counters that metering has been told of."""

    cpu_nanoseconds: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_byte_seconds: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_peak_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    accelerator_milliseconds: Mapped[int] = mapped_column(BigInteger, default=0)
    energy_microjoules: Mapped[int | None] = mapped_column(BigInteger)
    metered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    metered_windows: Mapped[int] = mapped_column(default=0)


class MeteredRow(Protocol):
    """A row of one attempt or replica."""

    id: Any
    organization_id: Any
    project_id: Any
    site_id: Any
    started_at: Any
    cpu_nanoseconds: Any
    memory_byte_seconds: Any
    memory_peak_bytes: Any
    accelerator_milliseconds: Any
    energy_microjoules: Any
    metered_at: Any
    metered_windows: Any


def meter(
    session: AsyncSession,
    row: MeteredRow,
    seen: Observation,
    *,
    workload_id: str,
    workload_kind: str,
    accelerator_type: str | None,
    label: JsonObject,
    now: datetime,
) -> None:
    """Send the use since the last window, when a window is full or the launch has ended."""
    began = row.metered_at or row.started_at or seen.started_at
    if began is None:
        return
    ended = seen.ended_at or now
    if seen.phase is not Phase.ENDED and ended - began < timedelta(seconds=WINDOW_SECONDS):
        return
    use = seen.usage
    cpu_nanoseconds = max(0, use.cpu_nanoseconds - row.cpu_nanoseconds)
    memory_byte_seconds = max(0, use.memory_byte_seconds - row.memory_byte_seconds)
    accelerator_milliseconds = max(0, use.accelerator_milliseconds - row.accelerator_milliseconds)
    energy = None
    if use.energy_microjoules is not None:
        energy = max(0, use.energy_microjoules - (row.energy_microjoules or 0))
    if not any((cpu_nanoseconds, memory_byte_seconds, accelerator_milliseconds, energy)):
        return
    payload: JsonObject = {
        "source_id": f"{row.id}:{row.metered_windows}",
        "organization_id": row.organization_id,
        "project_id": row.project_id,
        "workload_id": workload_id,
        "workload_kind": workload_kind,
        "site_id": row.site_id,
        "started_at": began.isoformat(),
        "ended_at": max(ended, began).isoformat(),
        "cpu_nanoseconds": cpu_nanoseconds,
        "memory_byte_seconds": memory_byte_seconds,
        "accelerator_type": accelerator_type,
        "accelerator_milliseconds": accelerator_milliseconds,
        "energy_microjoules": energy,
        "energy_method": use.energy_method.value if use.energy_method else None,
        "label": label,
    }
    enqueue(session, TOPIC, payload, now=now)
    row.cpu_nanoseconds = max(row.cpu_nanoseconds, use.cpu_nanoseconds)
    row.memory_byte_seconds = max(row.memory_byte_seconds, use.memory_byte_seconds)
    row.memory_peak_bytes = max(row.memory_peak_bytes, use.memory_peak_bytes)
    row.accelerator_milliseconds = max(row.accelerator_milliseconds, use.accelerator_milliseconds)
    if use.energy_microjoules is not None:
        row.energy_microjoules = max(row.energy_microjoules or 0, use.energy_microjoules)
    row.metered_at = max(ended, began)
    row.metered_windows += 1
