"""One usage record for each request that reached a replica: what it holds, and how it is spelled on disk.

The record is written to the journal before the last bytes of the answer go to the client (`journal` says
what that guarantees). Who reads records and prices them is not this tier's business.
"""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

FORMAT = 1
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    CLIENT_CLOSED = "client_closed"
    UPSTREAM_FAILED = "upstream_failed"


class TokenCountMethod(StrEnum):
    """Who counted the tokens."""

    ENGINE = "engine"  # The serving program said.
    CHUNKS = "chunks"  # Parts sent to the client, and a guess of the prompt from its length.


class UsageRecord(NamedTuple):
    """What one request used; `id` is the request's own, so that ingesting twice is harmless."""

    id: str
    key_id: str
    organization_id: str
    project_id: str
    deployment_id: str
    replica_id: str
    model: str
    site_id: str
    endpoint: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    started_at: datetime
    duration_ms: int
    ttft_ms: int | None
    outcome: Outcome
    token_count_method: TokenCountMethod
    streamed: bool


_STARTED_AT = UsageRecord._fields.index("started_at")


class RecordError(ValueError):
    """A journal entry is not a usage record that this version can read."""


def encode(record: UsageRecord) -> bytes:
    """Spell a record as a JSON list: the format's number, then the fields in their order."""
    values: list[object] = [FORMAT, *record]
    values[1 + _STARTED_AT] = round(record.started_at.timestamp() * 1_000_000)
    return _encode(values).encode()


def decode(payload: bytes) -> UsageRecord:
    """Read what `encode` spelled. Raises RecordError."""
    try:
        number, *values = json.loads(payload)
        if number != FORMAT:
            raise RecordError(f"record format {number} is not known")
        record = UsageRecord(*values)
        return record._replace(
            started_at=datetime.fromtimestamp(values[_STARTED_AT] / 1_000_000, UTC),
            outcome=Outcome(record.outcome),
            token_count_method=TokenCountMethod(record.token_count_method),
        )
    except (ValueError, TypeError) as error:
        raise RecordError(f"not a usage record: {error}") from error
