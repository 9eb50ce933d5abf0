"""Typed, sortable ids: a prefix and a UUIDv7 in Crockford base 32, as `job_01h455vb4pex5vsknk084sn02q`.

The layout follows RFC 9562 (UUIDv7) and the TypeID convention, so any TypeID library reads them.
"""

import secrets
import time
from uuid import UUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SUFFIX_LENGTH = 26


def uuid7() -> UUID:
    """Return a UUIDv7: 48 bits of Unix milliseconds, 12 bits of sub-millisecond time, 62 random bits."""
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76
    value |= fraction << 64
    value |= 0b10 << 62
    value |= secrets.randbits(62)
    return UUID(int=value)


def new_id(prefix: str) -> str:
    """Return a new id of the kind `prefix` names, such as `job` or `org`."""
    return f"{prefix}_{encode(uuid7())}"


def encode(uuid: UUID) -> str:
    """Spell a UUID in 26 characters that sort as the UUID does."""
    value = uuid.int
    characters = []
    for _ in range(_SUFFIX_LENGTH):
        value, digit = divmod(value, 32)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))


def is_id(text: str, prefix: str) -> bool:
    """Say whether `text` could have come from `new_id(prefix)`."""
    head, _, suffix = text.rpartition("_")
    return head == prefix and len(suffix) == _SUFFIX_LENGTH and all(c in _ALPHABET for c in suffix)
