"""Whole directories in the object store: what a workload left goes in, a list of files comes back out.

No database here: both take as long as the disk does, so no session may be open round them.
"""

import asyncio
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from galerne.integrations.objectstore.base import ObjectStore, StoredFile
from galerne.integrations.objectstore.errors import FileRefused, TreeTooLarge

FILES_MAX = 10_000
TREE_BYTES_MAX = 200 * 1000**3
FILE_BYTES_MAX = 50 * 1000**3
DEPTH_MAX = 64
_SMALLER = "write fewer, smaller or flatter outputs; pack small files into one archive"


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """How large things may be."""

    files_max: int = FILES_MAX
    tree_bytes_max: int = TREE_BYTES_MAX
    file_bytes_max: int = FILE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    size_bytes: int
    executable: bool


class Trees:
    """Moves directories in and out of a store. `root`, on the store's file system, holds those to read."""

    def __init__(self, store: ObjectStore, root: Path, *, limits: TreeLimits | None = None) -> None:
        self.store = store
        self.limits = limits or TreeLimits()
        self._root = root

    async def collect(self, directory: Path) -> Sequence[StoredFile]:
        """Store every file below `directory`. Safe to repeat; nothing may still write there.

        Raises `FileRefused` for links, sockets, pipes and devices, `TreeTooLarge` and `StorageFull`.
        """
        found = await asyncio.to_thread(_walk, directory, self.limits)
        return [await self._store(directory, file) for file in found]

    async def materialize(self, files: Sequence[StoredFile], destination: Path) -> None:
        """Write the files below `destination`, as copies that their owner may change.

        Safe to repeat. Files that are there under other names stay.
        """
        await self._write(files, destination, link=False)

    async def directory(self, digest: str, files: Sequence[StoredFile]) -> Path:
        """Return a directory with exactly these files, to read only; made on first use, then kept.

        `digest` names the list of files (`Manifest.digest`): one copy serves everybody who has it.
        """
        tree = self.path(digest)
        if await asyncio.to_thread(tree.is_dir):
            return tree
        unfinished = self._root / f".{uuid4().hex}"
        try:
            await self._write(files, unfinished, link=True)
            await asyncio.to_thread(_finish, unfinished, tree)
        finally:
            await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        return tree

    def path(self, digest: str) -> Path:
        """Return where `directory` puts, or will put, the files."""
        return self._root / digest

    async def _write(self, files: Sequence[StoredFile], destination: Path, *, link: bool) -> None:
        folders = {destination, *((destination / file.path).parent for file in files)}
        await asyncio.to_thread(_make_folders, folders)
        for file in files:
            await self.store.materialize(
                file.sha256, destination / file.path, executable=file.executable, link=link
            )

    async def _store(self, directory: Path, found: _Found) -> StoredFile:
        stored = await self.store.put_file(
            directory / found.path, bytes_max=self.limits.file_bytes_max
        )
        return StoredFile(found.path, stored.sha256, stored.size_bytes, found.executable)


def _walk(directory: Path, limits: TreeLimits) -> list[_Found]:
    found: list[_Found] = []
    total_bytes = 0
    for looked_at, (path, entry) in enumerate(_entries(directory), start=1):
        seen = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(seen.st_mode):
            found.append(_Found(path, seen.st_size, bool(seen.st_mode & stat.S_IXUSR)))
            total_bytes += seen.st_size
        elif not stat.S_ISDIR(seen.st_mode):
            raise FileRefused(
                f"{path!r} is a link, socket, pipe or device; only files can be kept",
                hint="write a regular file there, or remove it before the job ends",
            )
        # Directories count too, or a million empty ones would keep us busy.
        if looked_at > 2 * limits.files_max or len(found) > limits.files_max:
            raise TreeTooLarge(f"more than {limits.files_max} files", hint=_SMALLER)
        if total_bytes > limits.tree_bytes_max:
            raise TreeTooLarge(f"more than {limits.tree_bytes_max} bytes", hint=_SMALLER)
    return sorted(found, key=lambda file: file.path)


def _entries(directory: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    folders = [""]
    while folders:
        prefix = folders.pop()
        if prefix.count("/") > DEPTH_MAX:
            raise TreeTooLarge(f"directories nested deeper than {DEPTH_MAX}", hint=_SMALLER)
        with os.scandir(directory / prefix) as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                yield path, entry


def _make_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


def _finish(unfinished: Path, tree: Path) -> None:
    try:
        unfinished.rename(tree)
    except OSError:
        # Somebody else has made the same tree meanwhile; theirs has the same content.
        if not tree.is_dir():
            raise
