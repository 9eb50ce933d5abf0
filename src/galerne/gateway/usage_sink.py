"""Takes the gateway's usage records to metering: tokens by model, one request, exactly once each."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from galerne.db.session import Database, Scope
from galerne.gateway.recording import UsageRecord
from galerne.kit.clock import Clock
from galerne.metering.meters import REQUESTS, TOKENS_CACHED, TOKENS_INPUT, TOKENS_OUTPUT, Meter
from galerne.metering.usage.schemas import UsageRecordIn
from galerne.metering.usage.service import UsageService


class MeteringSink:
    """Implements `shipping.UsageSink` on the control plane's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ingest(self, records: Sequence[UsageRecord]) -> None:
        """Keep `records`; metering drops those it has. Durable when this returns."""
        usage = [each for record in records for each in meter_records(record)]
        async with self._database.write(Scope.system()) as session:
            await UsageService(session, self._clock).ingest(usage)


def meter_records(record: UsageRecord) -> Iterator[UsageRecordIn]:
    """Split a request into what each meter counts. Energy is the replica's and is metered there."""
    computed = max(0, record.prompt_tokens - record.cached_tokens)
    quantities: Sequence[tuple[Meter, int]] = (
        (TOKENS_INPUT, computed),
        (TOKENS_CACHED, record.cached_tokens),
        (TOKENS_OUTPUT, record.completion_tokens),
        (REQUESTS, 1),
    )
    ended_at = record.started_at + timedelta(milliseconds=record.duration_ms)
    for meter, quantity in quantities:
        if quantity:
            yield UsageRecordIn(
                source_id=f"{record.id}:{meter.name}",
                organization_id=record.organization_id,
                project_id=record.project_id,
                meter=meter.name,
                quantity=quantity,
                started_at=record.started_at,
                ended_at=ended_at,
                workload_id=record.deployment_id,
                workload_kind="deployment",
                site_id=record.site_id or None,
                model=record.model,
                key_id=record.key_id,
            )
