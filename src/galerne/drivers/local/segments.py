# Shims import this module, and pathlib would cost each of them several milliseconds.
# ruff: noqa: PTH103, PTH108, PTH116, PTH118, PTH208
"""A launch's log on disk: bounded, append-only, read by offset.

The output is cut into segment files named by the offset of their first byte. When the sum would exceed
the bound, the oldest segment goes; offsets go on counting. A gap between two segments is output that was
lost because the disk was full. Shims write, the driver reads, neither waits for the other. Decoding,
following and showing the log are the caller's.
"""

import os

SEGMENTS = 8
SEGMENT_BYTES_MIN = 4096
READ_ATTEMPTS = 5


class LogWriter:
    """Appends to a launch's log. Never raises for a full disk: it drops, counts and says so later."""

    def __init__(self, directory: str, *, bytes_max: int) -> None:
        self._directory = directory
        self._segment_bytes = max(SEGMENT_BYTES_MIN, bytes_max // SEGMENTS)
        self._offset = 0
        self._starts: list[int] = []
        self._descriptor = -1
        self._lost_bytes = 0
        self.tail = b""
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def write(self, data: bytes) -> None:
        """Append output of the program."""
        self.tail = (self.tail + data)[-2000:]
        if self._lost_bytes:
            self._resume()
        if not self._lost_bytes:
            self._append(data)
        else:
            self._lose(len(data))

    def close(self) -> None:
        """Finish; says what was lost, if there is room again."""
        if self._lost_bytes:
            self._resume()
        self._close_segment()

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                room = self._room()
                written = os.write(self._descriptor, view[:room])
            except OSError:
                self._lose(len(view))
                return
            self._offset += written
            view = view[written:]

    def _room(self) -> int:
        """Return how much the current segment still takes, opening the next one when it is full."""
        if self._descriptor >= 0:
            room = self._starts[-1] + self._segment_bytes - self._offset
            if room > 0:
                return room
            self._close_segment()
        while len(self._starts) >= SEGMENTS:
            os.unlink(_path(self._directory, self._starts.pop(0)))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(_path(self._directory, self._offset), flags, 0o600)
        self._starts.append(self._offset)
        return self._segment_bytes

    def _lose(self, count: int) -> None:
        """Count output as written and lost; what follows starts a new segment behind the gap."""
        self._close_segment()
        self._lost_bytes += count
        self._offset += count

    def _resume(self) -> None:
        """Try to write again after a full disk, beginning with a line that says what is missing."""
        lost = self._lost_bytes
        self._lost_bytes = 0
        self._append(f"\n[galerne] {lost} bytes of output were lost here: disk full\n".encode())
        if self._lost_bytes:
            self._offset -= self._lost_bytes
            self._lost_bytes = lost

    def _close_segment(self) -> None:
        if self._descriptor < 0:
            return
        os.close(self._descriptor)
        self._descriptor = -1
        if self._starts[-1] == self._offset:  # Nothing fitted in: its name will be needed again.
            os.unlink(_path(self._directory, self._starts.pop()))


def read(directory: str, *, offset: int, bytes_max: int) -> tuple[int, bytes]:
    """Read from `offset`, or from the first byte kept behind it; return where the data begins.

    An empty answer begins at the end of what is written so far, or at `offset` where that is later.
    """
    for _ in range(READ_ATTEMPTS):  # A segment may be rotated away between listing and opening.
        starts = _starts(directory)
        position = next((i for i in reversed(range(len(starts))) if starts[i] <= offset), 0)
        try:
            for start in starts[position:]:
                begin = max(offset, start)
                data = _read_at(_path(directory, start), begin - start, bytes_max)
                if data:
                    return begin, data
        except FileNotFoundError:
            continue
        break
    return offset, b""


def end_offset(directory: str) -> int:
    """Return the offset behind the last byte written."""
    starts = _starts(directory)
    if not starts:
        return 0
    return starts[-1] + os.stat(_path(directory, starts[-1])).st_size


def _starts(directory: str) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(directory))
    except FileNotFoundError:
        return []


def _read_at(path: str, offset: int, bytes_max: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, bytes_max, offset)
    finally:
        os.close(descriptor)


def _path(directory: str, start: int) -> str:
    return os.path.join(directory, f"{start:020d}")
