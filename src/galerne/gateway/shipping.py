"""Takes records from the journal to the control plane, in batches, for as long as it takes.

The sink must drop ids that it knows: after a crash, or when an answer is lost, a batch is sent again.
The journal's files are the queue, so that a sink that fails for hours costs disk and not memory.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from galerne.gateway.journal import Journal, Position
from galerne.gateway.recording import RecordError, UsageRecord, decode
from galerne.gateway.settings import GatewaySettings
from galerne.kit.clock import Clock

_log = structlog.get_logger("galerne.gateway.shipping")


class UsageSink(Protocol):
    """Where usage goes; implemented by metering."""

    async def ingest(self, records: Sequence[UsageRecord]) -> None:
        """Keep `records` durably; those whose id is known are dropped. Raises to be asked again."""
        ...


class Shipper:
    """Commits the journal in groups and empties it into a sink."""

    def __init__(
        self, journal: Journal, sink: UsageSink, clock: Clock, settings: GatewaySettings
    ) -> None:
        self.failures = 0  # In a row.
        self.shipped_records = 0
        self.unreadable_records = 0
        self._journal = journal
        self._sink = sink
        self._clock = clock
        self._settings = settings
        self._position = Position(0, 0)
        self._appended = asyncio.Event()

    def begin(self) -> None:
        """Begin with the oldest record of the opened journal."""
        self._position = self._journal.start()

    def notify(self) -> None:
        """Say that records were appended."""
        self._appended.set()

    async def commit_forever(self) -> None:
        """Sync the disk once for all records of `journal_commit_seconds`."""
        while True:
            await self._appended.wait()
            self._appended.clear()
            await self._clock.sleep(self._settings.journal_commit_seconds)
            try:
                await asyncio.to_thread(self._journal.commit)
            except OSError as error:
                _log.error("journal_commit_failed", error=repr(error))

    async def ship_forever(self) -> None:
        """Ship at intervals; after a failure wait longer and longer, up to a bound."""
        while True:
            delay = self._settings.ship_interval_seconds * 2 ** min(self.failures, 16)
            await self._clock.sleep(min(delay, self._settings.ship_backoff_seconds_max))
            await self.ship()

    async def ship(self) -> bool:
        """Ship all that is there. Returns whether nothing is left. Never raises for the sink."""
        end = self._journal.end
        while self._position < end:
            payloads, position = await asyncio.to_thread(
                self._journal.read, self._position, end, self._settings.ship_batch_records_max
            )
            if payloads and not await self._ingest(payloads):
                return False
            self._journal.shipped(position, len(payloads))
            if not payloads and position == self._position:
                break
            self._position = position
        return True

    async def _ingest(self, payloads: list[bytes]) -> bool:
        records = self._decode(payloads)
        try:
            async with asyncio.timeout(self._settings.ship_seconds_max):
                await self._sink.ingest(records)
        except Exception as error:  # noqa: BLE001 - whatever ails the sink, the journal keeps the records
            self.failures += 1
            _log.warning(
                "usage_shipping_failed",
                error=repr(error),
                failures=self.failures,
                pending_records=self._journal.pending_records,
            )
            return False
        self.failures = 0
        self.shipped_records += len(records)
        return True

    def _decode(self, payloads: list[bytes]) -> list[UsageRecord]:
        records = []
        for payload in payloads:
            try:
                records.append(decode(payload))
            except RecordError as error:
                self.unreadable_records += 1
                _log.error("usage_record_unreadable", error=str(error))
        return records
