"""The contract of an object store. Content is named by its SHA-256 and never changes.

Rules: an object appears whole or not at all, also when the process is killed or the disk is full; putting
the same content twice keeps it once and is no error; a store knows nothing of tenants, so whoever asks
it must have checked that the caller may have the content.
"""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Content that the store holds."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a directory: where it goes, and the object that it is."""

    path: str  # Relative, with `/`, without `.` and `..`.
    sha256: str
    size_bytes: int
    executable: bool = False


class ObjectStore(Protocol):
    """Holds content by digest."""

    async def put(
        self, chunks: AsyncIterable[bytes], *, bytes_max: int, sha256: str | None = None
    ) -> StoredObject:
        """Take a stream. Raises `DigestMismatch`, `ObjectTooLarge` or `StorageFull`, keeping nothing."""
        ...

    async def put_file(self, path: Path, *, bytes_max: int) -> StoredObject:
        """Take a regular file; no link is followed. Raises as `put`, and `FileRefused`."""
        ...

    async def size_bytes(self, sha256: str) -> int | None:
        """Return the object's size; None where the store does not hold it."""
        ...

    async def open(self, sha256: str) -> AsyncIterator[bytes]:
        """Return the content in chunks. Raises `ObjectMissing` before the first one."""
        ...

    async def materialize(
        self, sha256: str, destination: Path, *, executable: bool = False, link: bool = False
    ) -> None:
        """Make a file of an object. Raises `ObjectMissing`, `StorageFull`.

        `link` allows a read-only hard link where the store can make one: for files that nobody writes.
        """
        ...

    def local_path(self, sha256: str) -> Path:
        """Return where a node reads the object in place, whether or not it is there."""
        ...
