"""Typed, sortable ids: a prefix and a UUIDv7 in Crockford base 32, as `job_01h455vb4pex5vsknk084sn02q`.

The layout follows RFC 9562 (UUIDv7) and the TypeID convention, so any TypeID library reads them.
"""

import os
import time
from uuid import UUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SUFFIX_LENGTH = 26
# Two characters at a time: every state change makes several ids, so their cost is felt.
_PAIRS = tuple(one + other for one in _ALPHABET for other in _ALPHABET)
_PAIR_SHIFTS = tuple(range(120, -1, -10))
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_RANDOM_BITS = 2**62 - 1


def uuid7() -> UUID:
    """Return a UUIDv7: 48 bits of Unix milliseconds, 12 bits of sub-millisecond time, 62 random bits."""
    return UUID(int=_value())


def new_id(prefix: str) -> str:
    """Return a new id of the kind `prefix` names, such as `job` or `org`."""
    return f"{prefix}_{_spell(_value())}"


def encode(uuid: UUID) -> str:
    """Spell a UUID in 26 characters that sort as the UUID does."""
    return _spell(uuid.int)


def is_id(text: str, prefix: str) -> bool:
    """Say whether `text` could have come from `new_id(prefix)`."""
    head, _, suffix = text.rpartition("_")
    return head == prefix and len(suffix) == _SUFFIX_LENGTH and all(c in _ALPHABET for c in suffix)


def _value() -> int:
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    moment = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | fraction << 64
    return moment | _VERSION_AND_VARIANT | int.from_bytes(os.urandom(8)) & _RANDOM_BITS


def _spell(value: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in _PAIR_SHIFTS])
