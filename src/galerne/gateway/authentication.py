"""Who is calling: an API key against the snapshot. What a key may see is decided by `Snapshot.find`."""

import re
from datetime import datetime

from galerne.gateway.errors import ApiError
from galerne.gateway.snapshot import SCOPE_INFERENCE, KeyPolicy, Snapshot, key_digest

_KEY = re.compile(rb"gal_[A-Za-z0-9_-]{22,200}")
_BEARER = b"bearer "


def authenticate(
    snapshot: Snapshot, headers: list[tuple[bytes, bytes]], now: datetime
) -> KeyPolicy:
    """Return the policy of the caller's key. Raises ApiError 401 or 403."""
    key = _bearer(headers)
    policy = snapshot.keys.get(key_digest(snapshot.key_pepper, key)) if key else None
    if policy is None:
        hint = "This key is unknown or was revoked." if key else "No usable API key was sent."
        raise _invalid_key(f"{hint} Send 'Authorization: Bearer gal_…' with a key of your project.")
    if policy.expires_at is not None and policy.expires_at <= now:
        raise _invalid_key(
            f"This key expired at {policy.expires_at.isoformat()}. Create a new one in its project."
        )
    if SCOPE_INFERENCE not in policy.scopes:
        raise ApiError(
            403,
            "missing_scope",
            f"This key lacks the scope '{SCOPE_INFERENCE}'. Use a key that has it.",
        )
    return policy


def _bearer(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == _BEARER:
            key = value[7:].strip()
            return key if _KEY.fullmatch(key) else None
    return None


def _invalid_key(message: str) -> ApiError:
    return ApiError(401, "invalid_api_key", message)
