"""What a leaf of the tree says: an entry as RFC 8785 canonical JSON, the same bytes for ever."""

from datetime import UTC, datetime
from typing import Any

import rfc8785

from galerne.events.models import LogEntry


class UnfitForLogError(ValueError):
    """Data that has no canonical form: floats, huge integers, broken text. Always a bug of the caller."""


def leaf_bytes(entry: LogEntry) -> bytes:
    """Spell an entry canonically. Raises `UnfitForLogError`."""
    content: dict[str, Any] = {
        "id": entry.id,
        "at": time_text(entry.created_at),
        "organization_id": entry.organization_id,
        "project_id": entry.project_id,
        "subject_id": entry.subject_id,
        "kind": entry.kind,
        "actor": entry.actor,
        "data": entry.data,
    }
    try:
        _refuse_unstable(entry.data)
        return rfc8785.dumps(content)
    except (ValueError, UnicodeError) as error:
        raise UnfitForLogError(f"{entry.kind} cannot go into the log: {error}") from error


def time_text(at: datetime) -> str:
    """Spell a time as RFC 3339 in UTC, always to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _refuse_unstable(value: Any) -> None:
    """Refuse what a database may hand back otherwise than it was given."""
    if isinstance(value, float):
        raise UnfitForLogError("a float; write integers with a unit in the key's name")
    if isinstance(value, str) and "\0" in value:
        raise UnfitForLogError("text with a NUL, which PostgreSQL cannot keep")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_unstable(key)
            _refuse_unstable(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_unstable(item)
