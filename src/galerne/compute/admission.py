"""Opinions that compute needs from higher tiers, as protocols of one method; the wiring supplies them.

Admission asks in order: may it flow there (label), does it fit (scheduling), what will it cost (here).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.drivers.base import EnergyMethod
from galerne.integrations.objectstore.base import StoredFile
from galerne.kit.money import Euro
from galerne.rest.subject import Subject
from galerne.sovereignty.labels import Label


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """Capacity somebody thinks of holding."""

    organization_id: str
    site_id: str | None  # None: not placed; priced without a site's own terms.
    nodes: int
    cpu_millis: int  # Per node, as the next three.
    memory_bytes: int
    accelerators: int
    accelerator_type: str | None
    duration_seconds: int | None  # None: open-ended, so no total.
    at: datetime


@dataclass(frozen=True, slots=True)
class Quote:
    """What that would cost, from the same code that bills it; energy and carbon by the stated model."""

    price_per_hour: Euro
    total: Euro | None
    energy_watt_hours_per_hour: int
    energy_method: EnergyMethod
    energy_note: str  # Names the power model and what it assumes.
    carbon_milligrams_per_hour: int | None  # None: no factor is known for the site's grid zone.
    carbon_source: str | None


class Quoter(Protocol):
    """Prices capacity before it is held."""

    async def quote(self, session: AsyncSession, request: QuoteRequest) -> Quote:
        """Return the quote by the price list in force at `request.at`."""
        ...


@dataclass(frozen=True, slots=True)
class ResolvedInput:
    """Something from the registry, as it was when it was named: nothing below changes later."""

    kind: str  # "dataset" or "model".
    id: str
    name: str
    version: int
    licence: str
    label: Label
    digest: str  # Names the list of files.
    files: tuple[StoredFile, ...]


class Inputs(Protocol):
    """What jobs need of the registry, which stands above them."""

    async def resolve(
        self, session: AsyncSession, subject: Subject, *, project_id: str, kind: str, reference: str
    ) -> ResolvedInput:
        """Look up `name` or `name:version`. Raises the registry's own NotFound."""
        ...

    async def require_sent(
        self, session: AsyncSession, subject: Subject, files: Sequence[StoredFile]
    ) -> None:
        """Raise the registry's own error where the caller has not uploaded one of the files."""
        ...
