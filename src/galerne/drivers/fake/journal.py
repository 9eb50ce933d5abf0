"""Keeps simulated launches over a restart of the control plane: one JSON line for each change.

The last line of a handle counts. Every line begins with a line break, so that one cut by a crash spoils
nothing behind it. There is no fsync: what a simulation loses in a power cut was never there.
What a launch does is for `driver` to say.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """An append-only file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def replay(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Give every change in order; None: the handle is gone. A line cut by a crash is no change."""
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    handle, record = json.loads(line)
                except ValueError:
                    continue
                yield handle, record

    def append(self, handle: str, record: dict[str, Any] | None) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps([handle, record]) + "\n")
