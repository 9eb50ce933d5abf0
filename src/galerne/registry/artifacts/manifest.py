"""Manifests: the files of a directory by path, digest and size. Pure.

A manifest's digest names the whole tree, as a git tree id does: equal directories have equal digests.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import rfc8785

from galerne.integrations.objectstore.base import StoredFile
from galerne.integrations.objectstore.errors import TreeTooLarge
from galerne.integrations.objectstore.trees import FILES_MAX
from galerne.registry.artifacts.errors import ManifestInvalid

PATH_LENGTH_MAX = 1_000
PART_BYTES_MAX = 255
SIZE_BYTES_MAX = 2**50
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Manifest:
    """The files of a directory, by path. `of` is the way to make one: it checks."""

    files: tuple[StoredFile, ...]

    @classmethod
    def of(cls, files: Iterable[StoredFile]) -> "Manifest":
        """Sort and check. Raises `ManifestInvalid` or `TreeTooLarge`."""
        listed = tuple(sorted(files, key=lambda file: file.path))
        if len(listed) > FILES_MAX:
            raise TreeTooLarge(
                f"{len(listed)} files; an artifact has at most {FILES_MAX}",
                hint="pack small files into one archive",
            )
        for file in listed:
            _check_file(file)
        _check_tree([file.path for file in listed])
        return cls(listed)

    @classmethod
    def from_json(cls, files: Sequence[Mapping[str, Any]]) -> "Manifest":
        """Read what `as_json` wrote. Raises `ManifestInvalid`."""
        return cls.of(
            StoredFile(
                path=file["path"],
                sha256=file["sha256"],
                size_bytes=file["size_bytes"],
                executable=file.get("executable", False),
            )
            for file in files
        )

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(file) for file in self.files]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files' canonical JSON."""
        return hashlib.sha256(rfc8785.dumps(self.as_json())).hexdigest()

    @cached_property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def find(self, path: str) -> StoredFile | None:
        return next((file for file in self.files if file.path == path), None)

    def with_suffix(self, suffix: str) -> tuple[StoredFile, ...]:
        return tuple(file for file in self.files if file.path.endswith(suffix))


def _check_file(file: StoredFile) -> None:
    problem = _path_problem(file.path)
    if problem is None and not _SHA256.fullmatch(file.sha256):
        problem = "its sha256 is not 64 lower-case hexadecimal digits"
    if problem is None and not 0 <= file.size_bytes <= SIZE_BYTES_MAX:
        problem = "its size is out of range"
    if problem is not None:
        raise ManifestInvalid(
            f"the file {file.path[:200]!r} cannot be stored: {problem}",
            hint="paths are relative and stay inside the directory",
        )


def _path_problem(path: str) -> str | None:
    if not path or len(path) > PATH_LENGTH_MAX:
        return f"a path has 1 to {PATH_LENGTH_MAX} characters"
    if _UNPRINTABLE.search(path):
        return "its path has control characters or is not UTF-8"
    if path != str(PurePosixPath(path)) or path.startswith("/") or path == ".":
        return "its path is not in plain relative form"
    parts = path.split("/")
    if ".." in parts:
        return "its path leaves the directory"
    if any(len(part.encode()) > PART_BYTES_MAX for part in parts):
        return f"a part of its path is longer than {PART_BYTES_MAX} bytes"
    return None


def _check_tree(paths: Sequence[str]) -> None:
    seen = set(paths)
    if len(seen) != len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ManifestInvalid(f"the path {twice!r} is there twice", hint="name each file once")
    for path in paths:
        for parent in PurePosixPath(path).parents:
            if str(parent) in seen:
                raise ManifestInvalid(
                    f"{str(parent)!r} is a file and a directory", hint="rename one of them"
                )
