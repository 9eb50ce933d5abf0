"""What the outbox hands to metering: windows of compute, each of which becomes usage records once."""

from dataclasses import replace

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.catalog.accelerators.service import canonical_name
from galerne.catalog.sites.errors import SiteNotFound
from galerne.catalog.sites.models import Site
from galerne.catalog.sites.service import SiteService
from galerne.db.types import JsonObject
from galerne.drivers.base import EnergyMethod
from galerne.kit.clock import Clock
from galerne.metering.compute import quantities
from galerne.metering.energy import ComputeUse, Energy, Reading, attribute
from galerne.metering.meters import ACCELERATOR, ENERGY
from galerne.metering.usage.schemas import UsageRecordIn
from galerne.metering.usage.service import UsageService
from galerne.worker.outbox import Message

TOPIC_COMPUTE = "usage.compute"


class ComputeWindow(BaseModel):
    """The payload of `usage.compute`: what one attempt or replica used since its last window."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source_id: str
    organization_id: str
    project_id: str
    workload_id: str
    workload_kind: str
    site_id: str | None
    started_at: AwareDatetime
    ended_at: AwareDatetime
    cpu_nanoseconds: int = Field(ge=0)
    memory_byte_seconds: int = Field(ge=0)
    accelerator_type: str | None
    accelerator_milliseconds: int = Field(ge=0)
    energy_microjoules: int | None = Field(ge=0)
    energy_method: EnergyMethod | None
    label: JsonObject

    def use(self) -> ComputeUse:
        return ComputeUse(
            cpu_nanoseconds=self.cpu_nanoseconds,
            memory_byte_seconds=self.memory_byte_seconds,
            accelerator_milliseconds=self.accelerator_milliseconds,
            accelerator_type=canonical_name(self.accelerator_type or "") or None,
        )

    def reading(self) -> Reading | None:
        """Return what was read. A figure without its method may not be called measured."""
        if self.energy_microjoules is None:
            return None
        return Reading(self.energy_microjoules, self.energy_method or EnergyMethod.ESTIMATED)


class ComputeUsage:
    """Handles `usage.compute`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def record_compute(self, session: AsyncSession, message: Message) -> None:
        """Write the window's usage records. Raises for a payload that is not a window.

        A record that is refused is kept as such by the service: to raise for it would only have the
        outbox try again for ever.
        """
        window = ComputeWindow.model_validate(message.payload)
        site = await self._site(session, window.site_id)
        energy = attribute(window.use(), window.reading(), site=site, at=window.ended_at)
        await UsageService(session, self._clock).ingest(compute_records(window, energy))

    async def _site(self, session: AsyncSession, site_id: str | None) -> Site | None:
        if site_id is None:
            return None
        try:
            return await SiteService(session, self._clock).get(site_id)
        except SiteNotFound:
            # What was used was used; its energy then stands without PUE and carbon, and says so.
            return None


def compute_records(window: ComputeWindow, energy: Energy) -> list[UsageRecordIn]:
    """Return one record for each meter that the window moved, and one for its energy."""
    use = window.use()
    records = [
        _record(
            window,
            meter,
            quantity,
            accelerator_type=use.accelerator_type if meter == ACCELERATOR.name else None,
        )
        for meter, quantity in quantities(use).items()
        if quantity
    ]
    if energy.microwatt_hours:
        records.append(_energy_record(window, energy))
    return records


def _record(
    window: ComputeWindow, meter: str, quantity: int, *, accelerator_type: str | None
) -> UsageRecordIn:
    return UsageRecordIn(
        source_id=f"{window.source_id}/{meter}",
        organization_id=window.organization_id,
        project_id=window.project_id,
        meter=meter,
        quantity=quantity,
        started_at=window.started_at,
        ended_at=window.ended_at,
        workload_id=window.workload_id,
        workload_kind=window.workload_kind,
        site_id=window.site_id,
        accelerator_type=accelerator_type,
        label=window.label,
    )


def _energy_record(window: ComputeWindow, energy: Energy) -> UsageRecordIn:
    record = _record(window, ENERGY.name, energy.microwatt_hours, accelerator_type=None)
    return replace(
        record,
        energy_microwatt_hours=energy.microwatt_hours,
        energy_method=energy.method.value,
        energy_note=energy.note,
        carbon_micrograms=energy.carbon_micrograms,
        carbon_source=energy.carbon_source,
    )
