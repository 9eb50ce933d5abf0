"""How large a workspace is, found a bounded number of entries at a time.

A workspace with a million files must not stop its supervisor from supervising, so each step looks at so many
entries and goes on at the next. Symbolic links are not followed. What to do about the size is the shim's.
"""

import os
from collections.abc import Iterator

ENTRIES_PER_STEP = 5_000
ENTRY_BYTES_MIN = 512  # An empty file takes an inode and a name.


class WorkspaceSize:
    """The size of a directory tree, kept up to date by `step`."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._sizes: Iterator[int] | None = None
        self._running_sum = 0
        self.size_bytes = 0

    def step(self) -> int:
        """Look at some more entries; return the size at the last complete walk, or now if larger."""
        if self._sizes is None:
            self._sizes = _sizes(self._directory)
            self._running_sum = 0
        for _ in range(ENTRIES_PER_STEP):
            size = next(self._sizes, None)
            if size is None:
                self._sizes = None
                self.size_bytes = self._running_sum
                return self.size_bytes
            self._running_sum += size
        self.size_bytes = max(self.size_bytes, self._running_sum)
        return self.size_bytes

    def measure(self) -> int:
        """Walk everything, once the program has ended."""
        self.size_bytes = sum(_sizes(self._directory))
        return self.size_bytes


def _sizes(directory: str) -> Iterator[int]:
    pending = [directory]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                try:
                    stat = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                except OSError:
                    continue
                yield max(ENTRY_BYTES_MIN, stat.st_blocks * 512)
