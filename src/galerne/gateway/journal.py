"""An append-only journal on the local disk: usage survives the gateway, whatever kills it.

What is guaranteed. `append` returns after write(2): the record then survives the death of the process,
`kill -9` included. The gateway appends before it forwards the last bytes of an answer, hence **a client
that saw the end of its answer is accounted for**. One fsync for all records of a few milliseconds
follows on another thread: against a power failure, records of that span (`commit_seconds` plus the
disk's own time) may be lost, never doubled, and never torn: a half-written tail is recognised by its
length and checksum, and dropped. When the disk refuses (full, failing) `append` raises, nothing half
stays in the file, and the gateway stops taking requests until it can write again.

A segment is a file of frames: length, CRC-32, payload. Shipped segments are removed whole. Records of a
segment that was not removed are shipped again after a restart: the sink drops ids that it knows.
"""

import contextlib
import fcntl
import os
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = b"GALERNE1"
FRAME = struct.Struct("<II")  # Length and CRC-32 of the payload.
PAYLOAD_BYTES_MAX = 1 << 16
_NAME = re.compile(r"usage-(\d{12})\.journal")


class JournalError(OSError):
    """The journal cannot be written, or another process owns it."""


class Position(NamedTuple):
    """A place between two frames."""

    segment: int
    offset: int


class Recovery(NamedTuple):
    """What `Journal.open` found."""

    records: int
    dropped_bytes: int


class Journal:
    """Appends on the event loop's thread; `commit` and `read` may run on others."""

    def __init__(self, directory: Path, *, segment_bytes_max: int) -> None:
        self.pending_records = 0  # Appended or found, and not yet shipped.
        self.uncommitted_records = 0
        self._directory = directory
        self._segment_bytes_max = segment_bytes_max
        self._descriptor = -1
        self._segment = 0
        self._offset = 0
        self._to_commit: list[int] = []  # Descriptors of full segments, to be synced and closed.
        self._committing = threading.Lock()
        self._lock_descriptor = -1

    def open(self) -> Recovery:
        """Take the directory, drop half-written tails, begin a new segment. Raises JournalError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock()
        records = dropped = 0
        for segment in self._segments():
            frames, good_bytes, bad_bytes = _survey(self._path(segment))
            records += frames
            dropped += bad_bytes
            if bad_bytes:
                os.truncate(self._path(segment), good_bytes)
            if frames == 0:
                self._path(segment).unlink()
            self._segment = segment
        self.pending_records = records
        self._begin_segment()
        return Recovery(records, dropped)

    @property
    def end(self) -> Position:
        """The place after the last record appended."""
        return Position(self._segment, self._offset)

    def start(self) -> Position:
        """Return the place of the oldest record kept."""
        return Position(min(self._segments(), default=self._segment), len(MAGIC))

    def append(self, payload: bytes) -> None:
        """Write one record. Raises JournalError, and then nothing of it is in the file."""
        assert 0 < len(payload) <= PAYLOAD_BYTES_MAX
        if self._offset >= self._segment_bytes_max:
            self._rotate()
        frame = FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            written = os.write(self._descriptor, frame)
        except OSError as error:
            raise JournalError(f"the usage journal cannot be written: {error}") from error
        if written != len(frame):
            os.ftruncate(self._descriptor, self._offset)
            raise JournalError("the usage journal's disk is full")
        self._offset += written
        self.pending_records += 1
        self.uncommitted_records += 1

    def commit(self) -> None:
        """Make all that was appended survive a power failure. Blocks; call it on another thread."""
        with self._committing:
            full, self._to_commit = self._to_commit, []
            self.uncommitted_records = 0
            for descriptor in full:
                os.fsync(descriptor)
                os.close(descriptor)
            if self._descriptor >= 0:
                os.fsync(self._descriptor)

    def read(
        self, position: Position, end: Position, records_max: int
    ) -> tuple[list[bytes], Position]:
        """Return records from `position` up to `end` and the place after them. Blocks."""
        payloads: list[bytes] = []
        segment, offset = position
        while len(payloads) < records_max and Position(segment, offset) < end:
            path = self._path(segment)
            limit = end.offset if segment == end.segment else None
            for payload, after in _frames(path, offset, limit):
                payloads.append(payload)
                offset = after
                if len(payloads) == records_max:
                    return payloads, Position(segment, offset)
            if segment == end.segment:
                break
            segment, offset = self._next_segment(segment, end), len(MAGIC)
        return payloads, Position(segment, offset)

    def shipped(self, position: Position, records: int) -> None:
        """Note that `records` up to `position` are safe elsewhere; whole segments before it go."""
        self.pending_records -= records
        for segment in self._segments():
            if segment < position.segment:
                self._path(segment).unlink(missing_ok=True)

    def close(self) -> None:
        """Commit and let go; an active segment with nothing left to ship is removed."""
        if self._descriptor < 0:
            return
        self.commit()
        os.close(self._descriptor)
        self._descriptor = -1
        if self.pending_records == 0 or self._offset == len(MAGIC):
            self._path(self._segment).unlink(missing_ok=True)
        os.close(self._lock_descriptor)

    def _lock(self) -> None:
        self._lock_descriptor = os.open(self._directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_descriptor)
            raise JournalError(
                f"another gateway owns the journal in {self._directory}; give each its own directory"
            ) from error

    def _rotate(self) -> None:
        full = self._descriptor
        self._begin_segment()
        self._to_commit.append(full)

    def _begin_segment(self) -> None:
        path = self._path(self._segment + 1)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        except OSError as error:
            raise JournalError(f"the usage journal cannot begin a segment: {error}") from error
        if os.write(descriptor, MAGIC) != len(MAGIC):
            os.close(descriptor)
            path.unlink()
            raise JournalError("the usage journal's disk is full")
        _sync_directory(self._directory)
        self._descriptor = descriptor
        self._segment += 1
        self._offset = len(MAGIC)

    def _path(self, segment: int) -> Path:
        return self._directory / f"usage-{segment:012d}.journal"

    def _segments(self) -> list[int]:
        names = (_NAME.fullmatch(path.name) for path in self._directory.iterdir())
        return sorted(int(match[1]) for match in names if match)

    def _next_segment(self, segment: int, end: Position) -> int:
        return min((s for s in self._segments() if s > segment), default=end.segment)


def replay(directory: Path) -> Iterator[bytes]:
    """Read every whole record of a journal that nobody writes, oldest first."""
    for path in sorted(directory.glob("usage-*.journal")):
        for payload, _ in _frames(path, len(MAGIC), None):
            yield payload


def _survey(path: Path) -> tuple[int, int, int]:
    """Count whole frames, their bytes with the magic, and the bytes after them."""
    frames, good = 0, len(MAGIC)
    for _, after in _frames(path, len(MAGIC), None):
        frames += 1
        good = after
    return frames, good, max(path.stat().st_size - good, 0)


def _frames(path: Path, offset: int, limit: int | None) -> Iterator[tuple[bytes, int]]:
    """Yield each whole frame's payload and the offset after it; stop at the first that is not whole."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        file.seek(offset)
        while limit is None or offset < limit:
            payload = _frame(file.read(FRAME.size), file.read)
            if payload is None:
                return
            offset += FRAME.size + len(payload)
            yield payload, offset


def _frame(head: bytes, read: Callable[[int], bytes]) -> bytes | None:
    if len(head) != FRAME.size:
        return None
    length, checksum = FRAME.unpack(head)
    if not 0 < length <= PAYLOAD_BYTES_MAX:
        return None
    payload = read(length)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
