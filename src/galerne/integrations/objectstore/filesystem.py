"""An object store in a directory of this machine's file system.

An object is written beside its place, flushed to the disk, and renamed: it is there whole or not at
all. What a crash leaves in `incoming` is removed by `sweep`. Objects are read-only files named by their
digest.
"""

import asyncio
import errno
import hashlib
import os
import re
import stat
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import BinaryIO
from uuid import uuid4

from galerne.integrations.objectstore.base import CHUNK_BYTES, StoredObject
from galerne.integrations.objectstore.errors import (
    DigestMismatch,
    FileRefused,
    ObjectMissing,
    ObjectTooLarge,
    StorageFull,
)

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_LINKS = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP})
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MODE_OBJECT = 0o444


class FileObjectStore:
    """Objects below one directory, which several processes of this machine may share."""

    def __init__(self, root: Path) -> None:
        self._objects = root / "objects"
        self._incoming = root / "incoming"
        for folder in (self._objects, self._incoming):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def put(
        self, chunks: AsyncIterable[bytes], *, bytes_max: int, sha256: str | None = None
    ) -> StoredObject:
        incoming = self._begin(bytes_max)
        try:
            async for buffered in _buffered(chunks):
                await asyncio.to_thread(incoming.write, buffered)
            return await asyncio.to_thread(self._keep, incoming, sha256)
        finally:
            incoming.discard()

    async def put_file(self, path: Path, *, bytes_max: int) -> StoredObject:
        return await asyncio.to_thread(self._put_file, path, bytes_max)

    async def size_bytes(self, sha256: str) -> int | None:
        try:
            return (await asyncio.to_thread(self.local_path(sha256).stat)).st_size
        except FileNotFoundError:
            return None

    async def open(self, sha256: str) -> AsyncIterator[bytes]:
        if await self.size_bytes(sha256) is None:
            raise _missing(sha256)
        return _read(self.local_path(sha256))

    async def materialize(
        self, sha256: str, destination: Path, *, executable: bool = False, link: bool = False
    ) -> None:
        """Make a file of an object, replacing what is there. A copy is compared with its digest."""
        await asyncio.to_thread(self._materialize, sha256, destination, executable, link)

    def local_path(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise ObjectMissing("that is no SHA-256 digest", hint="64 lower-case hex digits")
        return self._objects / sha256[:2] / sha256

    async def sweep(self, *, before: datetime) -> int:
        """Remove what uploads that were cut off before that time have left; return how many."""
        return await asyncio.to_thread(self._sweep, before.timestamp())

    def _begin(self, bytes_max: int) -> "_Incoming":
        with _room():
            return _Incoming(self._incoming / uuid4().hex, bytes_max=bytes_max)

    def _put_file(self, path: Path, bytes_max: int) -> StoredObject:
        incoming = self._begin(bytes_max)
        try:
            with _open_regular(path) as file:
                while chunk := file.read(CHUNK_BYTES):
                    incoming.write(chunk)
            return self._keep(incoming, None)
        finally:
            incoming.discard()

    def _keep(self, incoming: "_Incoming", sha256: str | None) -> StoredObject:
        stored = incoming.finish()
        if sha256 is not None and stored.sha256 != sha256:
            raise DigestMismatch(
                f"the content has the SHA-256 {stored.sha256}, not {sha256}",
                hint="the upload was damaged or the digest is of another file; nothing was kept",
            )
        place = self.local_path(stored.sha256)
        with _room():
            place.parent.mkdir(exist_ok=True, mode=0o700)
            # Also where the content is known: the same work, so that time does not tell who has it.
            incoming.path.replace(place)
            _flush_folder(place.parent)
        return stored

    def _materialize(self, sha256: str, destination: Path, executable: bool, link: bool) -> None:
        source = self.local_path(sha256)
        # A link has the mode of the object, which is not executable.
        if link and not executable and _linked(source, destination):
            return
        unfinished = destination.with_name(f".{uuid4().hex}")
        try:
            with _room():
                _copy(source, unfinished, sha256)
            unfinished.chmod(0o755 if executable else 0o644)
            unfinished.replace(destination)
        finally:
            unfinished.unlink(missing_ok=True)

    def _sweep(self, before_seconds: float) -> int:
        removed = 0
        for path in self._incoming.iterdir():
            try:
                if path.stat().st_mtime < before_seconds:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # Its upload has just ended.
        return removed


class _Incoming:
    """An object that is being written and has no name yet.

    Locked, because a cancelled upload lets go while a thread may still be writing its last piece.
    """

    def __init__(self, path: Path, *, bytes_max: int) -> None:
        self.path = path
        self._bytes_max = bytes_max
        self._size_bytes = 0
        self._hash = hashlib.sha256()
        self._lock = Lock()
        self._file = path.open("xb", buffering=0)

    def write(self, data: bytes) -> None:
        self._size_bytes += len(data)
        if self._size_bytes > self._bytes_max:
            raise ObjectTooLarge(
                f"the content is larger than {self._bytes_max} bytes",
                hint="split it into smaller files; nothing was kept",
            )
        self._hash.update(data)
        left = memoryview(data)
        with self._lock, _room():
            while left:
                left = left[self._file.write(left) :]

    def finish(self) -> StoredObject:
        """Flush to the disk; the name comes after."""
        with self._lock, _room():
            os.fsync(self._file.fileno())
            os.fchmod(self._file.fileno(), _MODE_OBJECT)
            self._file.close()
        return StoredObject(self._hash.hexdigest(), self._size_bytes)

    def discard(self) -> None:
        """Let go, and remove what has not become an object."""
        with self._lock:
            self._file.close()
            self.path.unlink(missing_ok=True)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull(
                "the store's disk or quota is full; nothing was kept of this object",
                hint="free space below the data directory, then send it again",
            ) from error
        raise


async def _buffered(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Join network-sized pieces, so that a thread is asked once a mebibyte."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) >= CHUNK_BYTES:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)


async def _read(path: Path) -> AsyncIterator[bytes]:
    # Opened with the first chunk: a reader that never asks for one leaves nothing open.
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


@contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    # It may have been swapped since somebody looked: no link is followed, no pipe is waited for.
    try:
        descriptor = os.open(path, _OPEN)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise _refused(path) from error
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(path)
        yield file


def _refused(path: Path) -> FileRefused:
    return FileRefused(
        f"{path.name!r} is not a regular file", hint="only regular files can be kept"
    )


def _missing(sha256: str) -> ObjectMissing:
    return ObjectMissing(f"the store does not hold {sha256}", hint="send the content again")


def _linked(source: Path, destination: Path) -> bool:
    unfinished = destination.with_name(f".{uuid4().hex}")
    try:
        unfinished.hardlink_to(source)
    except FileNotFoundError:
        if not source.exists():
            raise _missing(source.name) from None
        raise
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    unfinished.replace(destination)
    # Renaming one link of a file onto another of the same file does nothing, by POSIX.
    unfinished.unlink(missing_ok=True)
    return True


def _copy(source: Path, unfinished: Path, sha256: str) -> None:
    try:
        opened = source.open("rb")
    except FileNotFoundError:
        raise _missing(sha256) from None
    found = hashlib.sha256()
    with opened as file, unfinished.open("xb") as copy:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
            copy.write(chunk)
    if found.hexdigest() != sha256:
        raise ObjectMissing(
            f"the stored content of {sha256} has been damaged on the disk",
            code="object_damaged",
            hint="send the content again: that replaces it",
        )


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
