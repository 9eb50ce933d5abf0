"""Artifacts as files: what a workload left becomes a manifest, a manifest becomes a directory again.

No database here: both take as long as the disk does, so no session may be open round them. The
rows are the service's business, before and after.
"""

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from galerne.integrations.objectstore.base import CHUNK_BYTES, ObjectStore
from galerne.registry.artifacts.errors import ArtifactTooLarge, FileRefused
from galerne.registry.artifacts.manifest import FILES_MAX, Manifest, ManifestFile

ARTIFACT_BYTES_MAX = 200 * 1000**3
BLOB_BYTES_MAX = 50 * 1000**3
DEPTH_MAX = 64
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class ArtifactLimits:
    """How large things may be."""

    files_max: int = FILES_MAX
    artifact_bytes_max: int = ARTIFACT_BYTES_MAX
    blob_bytes_max: int = BLOB_BYTES_MAX


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    size_bytes: int
    executable: bool


class ArtifactFiles:
    """Moves files between directories and the object store. `trees` is on the store's file system."""

    def __init__(
        self, store: ObjectStore, trees: Path, *, limits: ArtifactLimits | None = None
    ) -> None:
        self.store = store
        self.limits = limits or ArtifactLimits()
        self._trees = trees

    async def collect(self, directory: Path) -> Manifest:
        """Store every file below `directory`. Safe to repeat; nothing may still write there.

        Raises `FileRefused` for links, sockets and devices, `ArtifactTooLarge`, and `StorageFull`.
        """
        found = await asyncio.to_thread(_walk, directory, self.limits)
        return Manifest.of([await self._store(directory, file) for file in found])

    async def materialize(self, manifest: Manifest, destination: Path) -> None:
        """Write the files below `destination`, as copies that their owner may change.

        Safe to repeat. Files that are there and in nobody's manifest stay.
        """
        await self._write(manifest, destination, link=False)

    async def directory(self, manifest: Manifest) -> Path:
        """Return a directory with exactly these files, for reading only; made on first use, then kept."""
        tree = self.tree_path(manifest)
        if tree.is_dir():
            return tree
        unfinished = self._trees / f".{uuid4().hex}"
        try:
            await self._write(manifest, unfinished, link=True)
            await asyncio.to_thread(_finish, unfinished, tree)
        finally:
            await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        return tree

    def tree_path(self, manifest: Manifest) -> Path:
        """Return where `directory` puts, or will put, the files."""
        return self._trees / manifest.digest

    async def _write(self, manifest: Manifest, destination: Path, *, link: bool) -> None:
        folders = {destination, *((destination / file.path).parent for file in manifest.files)}
        await asyncio.to_thread(_make_folders, folders)
        for file in manifest.files:
            await self.store.materialize(
                file.sha256, destination / file.path, executable=file.executable, link=link
            )

    async def _store(self, directory: Path, found: _Found) -> ManifestFile:
        stored = await self.store.put(
            _chunks(directory / found.path), bytes_max=self.limits.blob_bytes_max
        )
        return ManifestFile(
            path=found.path,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            executable=found.executable,
        )


def _make_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


def _walk(directory: Path, limits: ArtifactLimits) -> list[_Found]:
    found: list[_Found] = []
    total_bytes = 0
    for file in _files(directory, "", depth=0):
        found.append(file)
        total_bytes += file.size_bytes
        if len(found) > limits.files_max or total_bytes > limits.artifact_bytes_max:
            raise ArtifactTooLarge(
                f"more than {limits.files_max} files or {limits.artifact_bytes_max} bytes",
                hint="write fewer or smaller outputs; pack small files into one archive",
            )
    return found


def _files(directory: Path, prefix: str, *, depth: int) -> Iterator[_Found]:
    if depth > DEPTH_MAX:
        raise FileRefused(
            f"directories are nested deeper than {DEPTH_MAX}", hint="write flatter outputs"
        )
    with os.scandir(directory / prefix) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        path = f"{prefix}{entry.name}"
        seen = entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(seen.st_mode):
            yield from _files(directory, f"{path}/", depth=depth + 1)
        elif stat.S_ISREG(seen.st_mode):
            yield _Found(path, seen.st_size, bool(seen.st_mode & stat.S_IXUSR))
        else:
            raise FileRefused(
                f"{path!r} is a link, socket, pipe or device; only files can be kept",
                hint="write a regular file there, or remove it before the job ends",
            )


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    # The file may have been swapped since the walk: no link is followed, no pipe is waited for.
    descriptor = await asyncio.to_thread(os.open, path, _OPEN)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileRefused(f"{path.name!r} is not a regular file any more")
        while chunk := await asyncio.to_thread(os.read, descriptor, CHUNK_BYTES):
            yield chunk
    finally:
        os.close(descriptor)


def _finish(unfinished: Path, tree: Path) -> None:
    try:
        unfinished.rename(tree)
    except OSError:
        # Somebody else has made the same tree meanwhile; theirs has the same content.
        if not tree.is_dir():
            raise
