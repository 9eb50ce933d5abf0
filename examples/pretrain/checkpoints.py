"""Tell complete checkpoints from truncated ones; no torch in here.

The trainer writes a checkpoint's files one after the other, so a killed process leaves some of
them. A marker with the size of every file is therefore written last. What is in the files is left
to the trainer.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from progress import Point

MARKER = "complete.json"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: where it is, how far the training was, and of which run it is."""

    path: Path
    point: Point
    fingerprint: str


def mark_complete(path: Path, point: Point, fingerprint: str) -> None:
    """Declare the checkpoint complete. Its files reach the disk before the marker does."""
    sizes = {}
    for file in files_of(path):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
        sizes[file.relative_to(path).as_posix()] = file.stat().st_size
    facts = {"point": asdict(point), "fingerprint": fingerprint, "file_bytes": sizes}
    write_atomically(path / MARKER, json.dumps(facts, indent=2) + "\n")


def newest_complete(root: Path) -> tuple[Checkpoint | None, list[tuple[Path, str]]]:
    """Find the checkpoint to resume from, and those to ignore with the reason for each."""
    ignored = []
    newest = None
    for path in sorted(root.glob("checkpoint-*"), key=step_of):
        try:
            newest = read(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            ignored.append((path, reason_of(error)))
    return newest, ignored


def read(path: Path) -> Checkpoint:
    if not (path / MARKER).is_file():
        raise ValueError("it was not written to its end")
    facts = json.loads((path / MARKER).read_text("utf-8"))
    for name, size in facts["file_bytes"].items():
        if not (path / name).is_file():
            raise ValueError(f"{name} is missing")
        found = (path / name).stat().st_size
        if found != size:
            raise ValueError(f"{name} has {found} of {size} bytes")
    return Checkpoint(path, Point(**facts["point"]), facts["fingerprint"])


def reason_of(error: Exception) -> str:
    if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError):
        return str(error)
    return f"{MARKER} cannot be read"


def step_of(path: Path) -> int:
    digits = re.fullmatch(r"checkpoint-(\d+)", path.name)
    return int(digits[1]) if digits else -1


def files_of(path: Path) -> Iterator[Path]:
    return (file for file in sorted(path.rglob("*")) if file.is_file() and file.name != MARKER)


def write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
