"""One pass over the rows of one kind: claim, act, apply.

    claim   short transaction: claim rows that are due; turn each into a plain value
    act     no session open: ask drivers, move files, whatever takes time
    apply   short transaction: write what was learnt, where the claim still holds; all rows at once,
            or each by itself where one of them fails

A pass may be killed anywhere. What it claimed comes free when the claim expires, and the next pass
finds the world as it is. So every act must be idempotent, and apply the only writer.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Generic, TypeVar

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.db.session import Database, Scope
from galerne.kit.clock import Clock
from galerne.worker import claims
from galerne.worker.claims import Claim, ClaimableRecord

CLAIM_SECONDS = 30.0
_passes = Counter(
    "galerne_reconcile_passes_total", "Passes by kind and outcome", ["kind", "outcome"]
)
_rows = Counter(
    "galerne_reconcile_rows_total", "Rows looked at by kind and outcome", ["kind", "outcome"]
)
_seconds = Histogram("galerne_reconcile_pass_seconds", "Length of a pass", ["kind"])
_log = structlog.get_logger(__name__)

RowT = TypeVar("RowT", bound=ClaimableRecord)
LoadedT = TypeVar("LoadedT")
LearntT = TypeVar("LearntT")


@dataclass(frozen=True, slots=True)
class Failure:
    """An act that failed for one row; the row backs off and shows the reason."""

    reason: str


class Reconciler(ABC, Generic[RowT, LoadedT, LearntT]):
    """Brings rows of one kind to what their owners want. Subclasses live in the kind's own folder."""

    kind: ClassVar[str]
    batch_max: ClassVar[int] = 200

    @property
    @abstractmethod
    def model(self) -> type[RowT]:
        """The table."""

    def due(self, now: datetime) -> ColumnElement[bool]:
        """Which rows want a pass."""
        return claims.is_due(self.model, now)

    @abstractmethod
    async def load(self, session: AsyncSession, rows: Sequence[RowT]) -> Mapping[str, LoadedT]:
        """Read what the act needs, as plain values by row id; the session closes after this."""

    @abstractmethod
    async def act(self, loaded: Mapping[str, LoadedT]) -> Mapping[str, LearntT | Failure]:
        """Do the slow work, idempotently. No session is open."""

    async def recall(self, session: AsyncSession, rows: Sequence[RowT]) -> Sequence[object]:
        """Read for all rows at once what `apply` will look up for each; the session holds it till then."""
        del session, rows
        return ()

    @abstractmethod
    async def apply(
        self, session: AsyncSession, row: RowT, loaded: LoadedT, learnt: LearntT, *, now: datetime
    ) -> datetime | None:
        """Write what was learnt; return when to look again, or None for not before somebody wakes it."""


class Pass(Generic[RowT, LoadedT, LearntT]):
    """Runs passes of one reconciler as one worker."""

    def __init__(
        self,
        reconciler: Reconciler[RowT, LoadedT, LearntT],
        *,
        database: Database,
        clock: Clock,
        owner: str,
        claim_seconds: float = CLAIM_SECONDS,
    ) -> None:
        self._reconciler = reconciler
        self._database = database
        self._clock = clock
        self._owner = owner
        self._claim_seconds = claim_seconds
        self._due_at: Mapping[str, datetime | None] = {}  # Of the claimed rows, as they were found.

    async def run(self) -> int:
        """Run one pass; return how many rows it looked at."""
        began = self._clock.monotonic()
        held = Claim.fresh(self._owner, now=self._clock.now(), seconds=self._claim_seconds)
        loaded = await self._claim(held)
        if not loaded:
            return 0
        keeper = asyncio.create_task(self._keep(held))
        try:
            learnt = await self._reconciler.act(loaded)
        except Exception as error:  # noqa: BLE001 - the loop's edge: every row backs off and shows why
            _log.exception("act_failed", kind=self._reconciler.kind)
            learnt = {row_id: Failure(f"{type(error).__name__}: {error}") for row_id in loaded}
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
        applied, failed = await self._apply(held, loaded, learnt)
        seconds = self._clock.monotonic() - began
        _seconds.labels(self._reconciler.kind).observe(seconds)
        _passes.labels(self._reconciler.kind, "failed" if failed else "ok").inc()
        stale = len(loaded) - applied - failed
        for outcome, count in (("ok", applied), ("failed", failed), ("stale", stale)):
            _rows.labels(self._reconciler.kind, outcome).inc(count)
        _log.debug(
            "pass",
            kind=self._reconciler.kind,
            claimed=len(loaded),
            applied=applied,
            failed=failed,
            stale=stale,
            milliseconds=round(seconds * 1000, 1),
        )
        return len(loaded)

    async def _claim(self, held: Claim) -> Mapping[str, LoadedT]:
        now = self._clock.now()
        async with self._database.write(Scope.system()) as session:
            rows = await claims.claim(
                session,
                self._reconciler.model,
                held,
                now=now,
                limit=self._reconciler.batch_max,
                due=self._reconciler.due(now),
            )
            self._due_at = {row.id: row.next_pass_at for row in rows}
            return await self._reconciler.load(session, rows) if rows else {}

    async def _keep(self, held: Claim) -> None:
        while True:
            # Real time, not the clock's: what is waited for is the act that runs beside this.
            await asyncio.sleep(self._claim_seconds / 3)
            expires_at = self._clock.now() + timedelta(seconds=self._claim_seconds)
            async with self._database.write(Scope.system()) as session:
                await claims.extend(session, self._reconciler.model, held, expires_at=expires_at)

    async def _apply(
        self,
        held: Claim,
        loaded: Mapping[str, LoadedT],
        learnt: Mapping[str, LearntT | Failure],
    ) -> tuple[int, int]:
        now = self._clock.now()
        async with self._database.write(Scope.system()) as session:
            rows = await claims.still_held(session, self._reconciler.model, held, list(loaded))
            if await self._apply_together(session, rows, loaded, learnt, now=now):
                return len(rows), 0
            rows = await claims.still_held(session, self._reconciler.model, held, list(loaded))
            failed = 0
            for row in rows:
                outcome = await self._apply_alone(session, row, loaded, learnt, now=now)
                if isinstance(outcome, Failure):
                    failed += 1
                    self._back_off(row, outcome, now=now)
                else:
                    self._release(row, outcome)
        return len(rows) - failed, failed

    async def _apply_together(
        self,
        session: AsyncSession,
        rows: Sequence[RowT],
        loaded: Mapping[str, LoadedT],
        learnt: Mapping[str, LearntT | Failure],
        *,
        now: datetime,
    ) -> bool:
        """Write all rows under one savepoint, as nearly always succeeds: a tenth of the statements.

        Say False, with nothing written, where any of them fails: then each is written by itself.
        """
        if any(isinstance(learnt.get(row.id), Failure | None) for row in rows):
            return False
        try:
            async with session.begin_nested():
                kept = await self._reconciler.recall(session, rows)
                for row in rows:
                    outcome = learnt[row.id]
                    assert not isinstance(outcome, Failure)
                    self._release(
                        row,
                        await self._reconciler.apply(
                            session, row, loaded[row.id], outcome, now=now
                        ),
                    )
                await session.flush()
                del kept
        except Exception as error:  # noqa: BLE001 - found again, and told, where the row is by itself
            _log.info("apply_together_failed", kind=self._reconciler.kind, error=str(error))
            return False
        return True

    async def _apply_alone(
        self,
        session: AsyncSession,
        row: RowT,
        loaded: Mapping[str, LoadedT],
        learnt: Mapping[str, LearntT | Failure],
        *,
        now: datetime,
    ) -> datetime | Failure | None:
        outcome = learnt.get(row.id)
        if outcome is None or isinstance(outcome, Failure):
            return outcome or Failure("the pass said nothing of this row")
        try:
            async with session.begin_nested():
                return await self._reconciler.apply(session, row, loaded[row.id], outcome, now=now)
        except Exception as error:  # noqa: BLE001 - one row's fault must not undo the batch
            await session.refresh(row)  # What it had written on the row is undone with the rest.
            _log.exception("apply_failed", kind=self._reconciler.kind, id=row.id)
            return Failure(f"{type(error).__name__}: {error}")

    def _release(self, row: RowT, next_pass_at: datetime | None) -> None:
        # Who woke the row while this pass ran wants a pass that knows what he wrote.
        woken = row.next_pass_at != self._due_at[row.id]
        claims.release(row, next_pass_at=row.next_pass_at if woken else next_pass_at)

    def _back_off(self, row: RowT, failure: Failure, *, now: datetime) -> None:
        seconds = claims.back_off(row, now=now, reason=failure.reason)
        _log.warning(
            "pass_failed",
            kind=self._reconciler.kind,
            id=row.id,
            reason=failure.reason,
            failures=row.failures,
            retry_in_seconds=seconds,
        )
