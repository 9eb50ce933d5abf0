"""`Idempotency-Key`: a POST that is sent again answers what it answered, and does nothing again.

Follows the IETF draft "The Idempotency-Key HTTP Header Field". The answer is stored in the same
transaction as the work, so there is no moment at which one exists without the other.
"""

import hashlib
import re
from datetime import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import TenantRecord
from galerne.kit.ids import new_id
from galerne.rest.errors import BadRequest, Conflict, Unprocessable

KEY_LENGTH_MAX = 255
KEY_PATTERN = rf"^[!-~]{{1,{KEY_LENGTH_MAX}}}$"


class IdempotentRequest(TenantRecord):
    """A POST that carried a key, and what was answered."""

    __tablename__ = "idempotent_requests"
    __table_args__ = (UniqueConstraint("organization_id", "key"),)
    id_prefix = "idem"

    key: Mapped[str] = mapped_column(String(KEY_LENGTH_MAX))
    fingerprint: Mapped[str] = mapped_column(String(64))
    response_status: Mapped[int] = mapped_column(default=0)  # 0 until answered.
    response_body: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    response_type: Mapped[str] = mapped_column(String(100), default="")


def fingerprint(actor: str, method: str, path: str, body: bytes) -> str:
    """Say what the request was, so that the same key with another request is noticed.

    It names the actor too: a key that has fewer rights must not read another key's answer.
    """
    head = f"{actor}\n{method}\n{path}\n".encode()
    return hashlib.sha256(head + body).hexdigest()


async def claim(
    session: AsyncSession, *, organization_id: str, key: str, request: str, now: datetime
) -> IdempotentRequest:
    """Return the stored request for `key`: a fresh one to fill in, or an answered one to repeat."""
    if not re.fullmatch(KEY_PATTERN, key):
        raise BadRequest(
            f"Idempotency-Key must have 1 to {KEY_LENGTH_MAX} visible ASCII characters",
            code="idempotency_key_invalid",
            hint="use a UUID",
        )
    stored = await session.scalar(
        select(IdempotentRequest).where(
            IdempotentRequest.organization_id == organization_id, IdempotentRequest.key == key
        )
    )
    if stored is None:
        return await _insert(
            session, organization_id=organization_id, key=key, request=request, now=now
        )
    if stored.fingerprint != request:
        raise Unprocessable(
            "this Idempotency-Key was used for another request",
            code="idempotency_key_reused",
            hint="send a new key with a new request, or the same request with this key",
        )
    return stored


async def _insert(
    session: AsyncSession, *, organization_id: str, key: str, request: str, now: datetime
) -> IdempotentRequest:
    row = IdempotentRequest(
        id=new_id(IdempotentRequest.id_prefix),
        created_at=now,
        organization_id=organization_id,
        key=key,
        fingerprint=request,
        response_status=0,
        response_body=b"",
        response_type="",
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # A twin of this request committed since we looked.
        raise Conflict(
            "a request with this Idempotency-Key is being answered",
            code="idempotency_key_in_use",
            hint="send it again in a moment to get that answer",
        ) from None
    return row
