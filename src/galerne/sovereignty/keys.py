"""The key that signs the log: Ed25519, in a file of the data directory, in the text forms of C2SP notes.

The file is made once, readable by its owner only, and never printed. Who verifies needs the verifier key,
which says nothing secret: `name+id+key`, where the id is the first four bytes of a hash of both.
"""

import hashlib
import os
import stat
from base64 import b64decode, b64encode
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ALGORITHM = b"\x01"  # Ed25519, by the signed-note specification.
_SECRET_HEAD = "PRIVATE+KEY"  # noqa: S105 - the form's first words, not a secret
_SEED_BYTES = 32
_FILE_BYTES_MAX = 1_000


class SigningKeyUnusableError(Exception):
    """The key file cannot be trusted or read. Without its key the log could not be continued."""

    code = "signing_key_unusable"


class LogSigner:
    """Signs checkpoints. Holds the private key, and shows it to nobody."""

    def __init__(self, name: str, seed: bytes) -> None:
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = _ALGORITHM + self._key.public_key().public_bytes_raw()
        self.key_id = key_id(name, self._public)

    @property
    def verifier_key(self) -> str:
        """The public half, as verifiers take it."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(self._public).decode()}"

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def key_id(name: str, public: bytes) -> bytes:
    """Tell keys of one name apart: the start of a hash of the name and of the key with its algorithm."""
    return hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]


def ensure_signer(path: Path, *, name: str | None = None) -> LogSigner:
    """Load the log's key, or make it where there is none. Raises `SigningKeyUnusableError`.

    Safe where several processes start at once: one key wins, and all use it. A new key's log is called
    `name`, which should be a host and path of the operator's; without one it gets a name of its own.
    """
    if not path.exists():
        _make(path, name or f"galerne.internal/log/{uuid4().hex[:12]}")
    return _load(path)


def _make(path: Path, name: str) -> None:
    seed = Ed25519PrivateKey.generate().private_bytes_raw()
    signer = LogSigner(name, seed)
    secret = b64encode(_ALGORITHM + seed).decode()
    text = f"{_SECRET_HEAD}+{name}+{signer.key_id.hex()}+{secret}\n"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _publish(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _publish(unfinished: Path, path: Path) -> None:
    """Give the file its name, unless another process was quicker: a link never replaces."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _load(path: Path) -> LogSigner:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        content = file.read(_FILE_BYTES_MAX)
    if mode & 0o077:
        raise SigningKeyUnusableError(
            f"{path} may be read by others (mode {mode:o}); run: chmod 600 {path}"
        )
    try:
        return _parse(content.decode())
    except ValueError:
        # Not chained: the text of the cause could quote the key.
        raise SigningKeyUnusableError(
            f"{path} is not a signing key; restore it from a backup, since the log continues under it"
        ) from None


def _parse(text: str) -> LogSigner:
    if not text.startswith(f"{_SECRET_HEAD}+") or not text.endswith("\n"):
        raise ValueError("not a note's signing key")
    name, hash_text, secret_text = text.removeprefix(f"{_SECRET_HEAD}+").strip().split("+", 2)
    secret = b64decode(secret_text, validate=True)
    if secret[:1] != _ALGORITHM or len(secret) != 1 + _SEED_BYTES:
        raise ValueError("not an Ed25519 key")
    signer = LogSigner(name, secret[1:])
    if signer.key_id.hex() != hash_text:
        raise ValueError("damaged")
    return signer
