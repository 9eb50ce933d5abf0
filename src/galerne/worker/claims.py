"""Claims: how several workers share one database without doing a thing twice.

A row that a reconciler looks after is claimed for a short while by one worker, under a token. What the
worker learnt is written back only where the token still matches; a worker that died, or was too slow,
has lost its claim and its result is thrown away. (A *lease* in this product is capacity held for a
tenant; hence another word here.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, String, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import Record
from galerne.db.types import UtcDateTime

BACKOFF_SECONDS_MIN = 1.0
BACKOFF_SECONDS_MAX = 300.0


class Claimable:
    """Columns of a row that a reconciler looks after. `next_pass_at` empty: nothing to do until woken."""

    next_pass_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None, index=True)
    claimed_by: Mapped[str | None] = mapped_column(String(100), default=None)
    claim_token: Mapped[str | None] = mapped_column(String(36), default=None)
    claim_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    failures: Mapped[int] = mapped_column(default=0)  # Passes that failed in a row: the back-off.
    last_failure: Mapped[str | None] = mapped_column(default=None)  # For `galerne why`.


class ClaimableRecord(Record, Claimable):
    """For typing: a record with the columns of a claim."""

    __abstract__ = True


ClaimedT = TypeVar("ClaimedT", bound=ClaimableRecord)


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's claim on a batch of rows."""

    owner: str
    token: str
    expires_at: datetime

    @classmethod
    def fresh(cls, owner: str, *, now: datetime, seconds: float) -> "Claim":
        return cls(owner, str(uuid4()), now + timedelta(seconds=seconds))


def is_due(model: type[ClaimableRecord], now: datetime) -> ColumnElement[bool]:
    return model.next_pass_at <= now


def is_free(model: type[ClaimableRecord], now: datetime) -> ColumnElement[bool]:
    return or_(model.claim_expires_at.is_(None), model.claim_expires_at <= now)


async def claim(
    session: AsyncSession,
    model: type[ClaimedT],
    held: Claim,
    *,
    now: datetime,
    limit: int,
    due: ColumnElement[bool] | None = None,
) -> Sequence[ClaimedT]:
    """Claim up to `limit` rows that are due and free, the longest waiting first, and return them."""
    condition = is_due(model, now) if due is None else due
    candidates = (
        select(model.id)
        .where(condition, is_free(model, now))
        .order_by(model.next_pass_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    statement = (
        update(model)
        .where(model.id.in_(candidates.scalar_subquery()))
        .values(claimed_by=held.owner, claim_token=held.token, claim_expires_at=held.expires_at)
        .returning(model)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return (await session.scalars(statement)).all()


async def still_held(
    session: AsyncSession, model: type[ClaimedT], held: Claim, ids: Sequence[str]
) -> Sequence[ClaimedT]:
    """Return those rows of `ids` that this claim still holds, locked until the transaction ends."""
    statement = (
        select(model)
        .where(and_(model.id.in_(ids), model.claim_token == held.token))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).all()


async def extend(
    session: AsyncSession, model: type[ClaimableRecord], held: Claim, *, expires_at: datetime
) -> None:
    """Keep the claim while slow work goes on."""
    await session.execute(
        update(model)
        .where(model.claim_token == held.token)
        .values(claim_expires_at=expires_at)
        .execution_options(synchronize_session=False)
    )


def release(row: Claimable, *, next_pass_at: datetime | None) -> None:
    """Give the row back after a pass that went well."""
    row.claimed_by = row.claim_token = row.claim_expires_at = None
    row.next_pass_at = next_pass_at
    row.failures = 0
    row.last_failure = None


def back_off(row: Claimable, *, now: datetime, reason: str) -> float:
    """Give the row back after a pass that failed; return after how many seconds it is tried again."""
    row.claimed_by = row.claim_token = row.claim_expires_at = None
    row.failures += 1
    row.last_failure = reason[:500]
    seconds = backoff_seconds(row.failures)
    row.next_pass_at = now + timedelta(seconds=seconds)
    return seconds


def backoff_seconds(failures: int) -> float:
    """Double from one second to five minutes."""
    doubled: float = BACKOFF_SECONDS_MIN * 2.0 ** min(failures - 1, 20)
    return min(BACKOFF_SECONDS_MAX, doubled)
