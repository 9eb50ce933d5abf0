"""The secrets of API keys: how they look, and the digest that is all we keep of one."""

import hashlib
import hmac
import re
import secrets

SECRET_PREFIX = "gal_"  # noqa: S105 - what every secret begins with, for secret scanners to find
PREFIX_LENGTH = 8
PEPPER_BYTES_MIN = 32
_RANDOM_BYTES = 32  # 43 characters.
_SECRET = re.compile(rf"{SECRET_PREFIX}[A-Za-z0-9_-]{{43}}")


def new_secret() -> str:
    """Return a secret of 256 random bits."""
    return SECRET_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def is_secret(text: str) -> bool:
    """Say whether `text` could have come from `new_secret`."""
    return _SECRET.fullmatch(text) is not None


def digest_of(pepper: bytes, secret: str) -> bytes:
    """Return what is stored of a secret.

    Looking a digest up tells a guesser nothing by its timing: without the pepper nobody can choose
    digests that share a beginning with a stored one.
    """
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)
