"""The file object store: whole objects or none, by content, whatever happens meanwhile."""

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from galerne.integrations.objectstore import trees
from galerne.integrations.objectstore.base import CHUNK_BYTES, StoredFile
from galerne.integrations.objectstore.errors import (
    DigestMismatch,
    FileRefused,
    ObjectMissing,
    ObjectTooLarge,
    StorageFull,
    TreeTooLarge,
)
from galerne.integrations.objectstore.filesystem import FileObjectStore
from galerne.integrations.objectstore.trees import TreeLimits, Trees

CONTENT = b"donn\xc3\xa9es" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> FileObjectStore:
    return FileObjectStore(tmp_path / "store")


async def chunks(content: bytes, *, size: int = 999) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def put(store: FileObjectStore, content: bytes, **options: Any) -> str:
    options.setdefault("bytes_max", 10**9)
    return (await store.put(chunks(content), **options)).sha256


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def read(store: FileObjectStore, digest: str) -> bytes:
    return b"".join([chunk async for chunk in await store.open(digest)])


class TestPut:
    """Taking content."""

    async def test_it_comes_back(self, store: FileObjectStore) -> None:
        """What was put under its digest is read back, with its size."""
        assert await put(store, CONTENT, sha256=DIGEST) == DIGEST
        assert await read(store, DIGEST) == CONTENT
        assert await store.size_bytes(DIGEST) == len(CONTENT)

    @pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 1])
    async def test_any_size(self, store: FileObjectStore, size: int) -> None:
        """Content of any size, none included, is the same after it was stored."""
        content = os.urandom(size)
        digest = (await store.put(chunks(content, size=70_000), bytes_max=10**9)).sha256
        assert digest == hashlib.sha256(content).hexdigest()
        assert await read(store, digest) == content

    async def test_twice_is_once(self, store: FileObjectStore, tmp_path: Path) -> None:
        """The same content again is no error and takes no more room."""
        await asyncio.gather(*(put(store, CONTENT, sha256=DIGEST) for _ in range(5)))
        assert len(kept(tmp_path)) == 1

    async def test_other_content_is_refused(self, store: FileObjectStore, tmp_path: Path) -> None:
        """Content under a digest that is not its own leaves nothing behind."""
        with pytest.raises(DigestMismatch):
            await put(store, CONTENT + b"!", sha256=DIGEST)
        assert kept(tmp_path) == []

    async def test_too_large_is_refused(self, store: FileObjectStore, tmp_path: Path) -> None:
        """A stream is cut at the limit, not read to its end first."""
        with pytest.raises(ObjectTooLarge):
            await put(store, CONTENT, bytes_max=len(CONTENT) - 1)
        assert await put(store, CONTENT, bytes_max=len(CONTENT)) == DIGEST
        assert len(kept(tmp_path)) == 1

    async def test_a_stream_that_breaks_leaves_nothing(
        self, store: FileObjectStore, tmp_path: Path
    ) -> None:
        """Half an upload is none."""

        async def broken() -> AsyncIterator[bytes]:
            yield bytes(2 * CHUNK_BYTES)
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await store.put(broken(), bytes_max=10**9)
        assert kept(tmp_path) == []

    async def test_a_cancelled_upload_leaves_nothing(
        self, store: FileObjectStore, tmp_path: Path
    ) -> None:
        """A sender that is cut off in the middle of a write leaves no file and no open one."""

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(CHUNK_BYTES)

        for _ in range(3):
            upload = asyncio.create_task(store.put(endless(), bytes_max=10**12))
            await asyncio.sleep(0.02)
            upload.cancel()
            with pytest.raises(asyncio.CancelledError):
                await upload
        assert kept(tmp_path) == []

    async def test_a_disk_without_room(
        self, store: FileObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the kernel says of a full device is the error that a caller sees."""
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", lambda *_, **__: open("/dev/full", "wb", buffering=0))  # noqa: PTH123, SIM115 - Path.open is what is replaced
            with pytest.raises(StorageFull):
                await put(store, CONTENT)
        assert kept(tmp_path) == []

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
    async def test_a_full_disk(
        self,
        store: FileObjectStore,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        step: str,
        code: int,
    ) -> None:
        """Wherever the disk is full, the error says so, nothing is kept, and a later try succeeds."""
        with monkeypatch.context() as patched:
            fill_disk(patched, step, code)
            with pytest.raises(StorageFull) as caught:
                await put(store, CONTENT, sha256=DIGEST)
        assert (caught.value.code, caught.value.status) == ("storage_full", 507)
        assert kept(tmp_path) == []
        assert await put(store, CONTENT, sha256=DIGEST) == DIGEST

    async def test_another_disk_error_is_not_hidden(
        self, store: FileObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An input or output error is raised as it is, and keeps nothing either."""
        fill_disk(monkeypatch, "fsync", errno.EIO)
        with pytest.raises(OSError, match="disk"):
            await put(store, CONTENT)
        assert kept(tmp_path) == []

    async def test_objects_are_read_only(self, store: FileObjectStore) -> None:
        """A stored object may be written by nobody, and only its owner finds it."""
        path = store.local_path(await put(store, CONTENT))
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    async def test_what_a_crash_left_is_swept(self, store: FileObjectStore, tmp_path: Path) -> None:
        """Old unfinished uploads go; young ones, which may still run, stay."""
        incoming = tmp_path / "store" / "incoming"
        for name, age_seconds in (("old", 10_000), ("young", 0)):
            path = incoming / name
            path.touch()
            seconds = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp() - age_seconds
            os.utime(path, (seconds, seconds))
        assert await store.sweep(before=datetime(2026, 11, 22, 11, tzinfo=UTC)) == 1
        assert names_in(incoming) == ["young"]


def fill_disk(monkeypatch: pytest.MonkeyPatch, step: str, code: int) -> None:
    """Make one step of writing fail as the disk would."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, "disk")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)


class TestNames:
    """Objects are named by digests and by nothing else."""

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "..",
            "../../etc/passwd",
            "a" * 63,
            "A" * 64,
            "a" * 65,
            "/" + "a" * 63,
            "a" * 64 + "\n",
        ],
    )
    async def test_no_other_name_reaches_a_file(self, store: FileObjectStore, name: str) -> None:
        """A name that is no digest is refused before a path is made of it."""
        with pytest.raises(ObjectMissing):
            await store.size_bytes(name)
        with pytest.raises(ObjectMissing):
            await store.open(name)
        with pytest.raises(ObjectMissing):
            await store.materialize(name, Path("/nonexistent"))

    async def test_unknown_content(self, store: FileObjectStore, tmp_path: Path) -> None:
        """Content that is not there has no size, and reading it fails before the first byte."""
        assert await store.size_bytes(DIGEST) is None
        for link in (False, True):
            with pytest.raises(ObjectMissing):
                await store.materialize(DIGEST, tmp_path / "x", link=link)
        with pytest.raises(ObjectMissing):
            await store.open(DIGEST)
        assert not (tmp_path / "x").exists()


class TestMaterialize:
    """Making files of objects."""

    @pytest.mark.parametrize("executable", [False, True])
    async def test_a_copy_is_its_owners(
        self, store: FileObjectStore, tmp_path: Path, executable: bool
    ) -> None:
        """A copy may be written without changing the object, and is executable where it is to be."""
        digest = await put(store, CONTENT)
        target = tmp_path / "copy"
        await store.materialize(digest, target, executable=executable)
        assert stat.S_IMODE(target.stat().st_mode) == (0o755 if executable else 0o644)
        target.write_bytes(b"changed")
        assert await read(store, digest) == CONTENT

    async def test_a_link_takes_no_room(self, store: FileObjectStore, tmp_path: Path) -> None:
        """A linked file is the object itself, and making it again changes nothing."""
        digest = await put(store, CONTENT)
        for _ in range(2):
            await store.materialize(digest, tmp_path / "link", link=True)
            assert (tmp_path / "link").samefile(store.local_path(digest))
        assert names_in(tmp_path) == ["link", "store"]

    async def test_an_executable_is_never_linked(
        self, store: FileObjectStore, tmp_path: Path
    ) -> None:
        """The mode belongs to the file: one that is executable must be a copy."""
        digest = await put(store, CONTENT)
        await store.materialize(digest, tmp_path / "run", executable=True, link=True)
        assert not (tmp_path / "run").samefile(store.local_path(digest))
        assert os.access(tmp_path / "run", os.X_OK)

    async def test_where_links_are_impossible_it_copies(
        self, store: FileObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another file system gets a copy instead."""

        def refuse(*_: object) -> None:
            raise OSError(errno.EXDEV, "cross-device")

        digest = await put(store, CONTENT)
        monkeypatch.setattr(Path, "hardlink_to", refuse)
        await store.materialize(digest, tmp_path / "copy", link=True)
        assert (tmp_path / "copy").read_bytes() == CONTENT

    async def test_a_damaged_object_is_noticed(
        self, store: FileObjectStore, tmp_path: Path
    ) -> None:
        """A copy of content that the disk has changed is not handed out; sending it again mends it."""
        path = store.local_path(await put(store, CONTENT))
        path.chmod(0o600)
        path.write_bytes(b"x" * len(CONTENT))
        with pytest.raises(ObjectMissing) as caught:
            await store.materialize(DIGEST, tmp_path / "copy")
        assert caught.value.code == "object_damaged"
        assert not (tmp_path / "copy").exists()
        await put(store, CONTENT)
        await store.materialize(DIGEST, tmp_path / "copy")


class TestTrees:
    """Whole directories."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        source = tmp_path / "outputs"
        (source / "deep" / "er").mkdir(parents=True)
        (source / "model.bin").write_bytes(CONTENT)
        (source / "deep" / "er" / "Orléans.txt").write_text("ville")
        run = source / "deep" / "run.sh"
        run.write_text("#!/bin/sh\n")
        run.chmod(0o755)
        return source

    async def test_a_directory_goes_in_and_comes_out(
        self, store: FileObjectStore, tmp_path: Path, source: Path
    ) -> None:
        """Every file comes back at its path with its content and whether it can be run."""
        moved = Trees(store, tmp_path / "trees")
        files = await moved.collect(source)
        assert [file.path for file in files] == [
            "deep/er/Orléans.txt",
            "deep/run.sh",
            "model.bin",
        ]
        await moved.materialize(files, tmp_path / "copy")
        assert await moved.collect(tmp_path / "copy") == files

    async def test_a_kept_directory_is_made_once(
        self, store: FileObjectStore, tmp_path: Path, source: Path
    ) -> None:
        """However many ask for it at once, one directory with these files is there, and no rest."""
        moved = Trees(store, tmp_path / "trees")
        files = await moved.collect(source)
        made = await asyncio.gather(*(moved.directory("d" * 64, files) for _ in range(5)))
        assert set(made) == {moved.path("d" * 64)}
        assert names_in(tmp_path / "trees") == ["d" * 64]
        assert (made[0] / "model.bin").samefile(store.local_path(DIGEST))

    @pytest.mark.parametrize("kind", ["link", "directory link", "pipe", "socket"])
    async def test_only_files_are_kept(
        self, store: FileObjectStore, tmp_path: Path, source: Path, kind: str
    ) -> None:
        """A link out of the directory, a pipe or a socket is refused by name, and never followed."""
        odd = source / "deep" / "odd"
        if kind == "link":
            odd.symlink_to("/etc/passwd")
        elif kind == "directory link":
            odd.symlink_to("/etc")
        elif kind == "pipe":
            os.mkfifo(odd)
        else:
            os.mknod(odd, stat.S_IFSOCK | 0o600)
        with pytest.raises(FileRefused, match="deep/odd"):
            await Trees(store, tmp_path / "trees").collect(source)

    @pytest.mark.parametrize("kind", ["link", "pipe"])
    async def test_a_file_that_was_swapped(
        self, store: FileObjectStore, tmp_path: Path, kind: str
    ) -> None:
        """What became a link or a pipe after it was looked at is neither followed nor waited for."""
        odd = tmp_path / "odd"
        if kind == "link":
            odd.symlink_to("/etc/passwd")
        else:
            os.mkfifo(odd)
        with pytest.raises(FileRefused):
            await store.put_file(odd, bytes_max=10**9)

    @pytest.mark.parametrize(
        "limits",
        [
            TreeLimits(files_max=2),
            TreeLimits(tree_bytes_max=len(CONTENT)),
        ],
    )
    async def test_too_much_is_refused_before_it_is_read(
        self, store: FileObjectStore, tmp_path: Path, source: Path, limits: TreeLimits
    ) -> None:
        """Too many files or bytes are refused with nothing stored."""
        with pytest.raises(TreeTooLarge):
            await Trees(store, tmp_path / "trees", limits=limits).collect(source)
        assert kept(tmp_path) == []

    async def test_endless_directories_are_refused(
        self, store: FileObjectStore, tmp_path: Path
    ) -> None:
        """Directories count, so that empty ones without end are refused too, as is nesting."""
        wide = tmp_path / "wide"
        for number in range(7):
            (wide / str(number)).mkdir(parents=True)
        moved = Trees(store, tmp_path / "trees", limits=TreeLimits(files_max=3))
        with pytest.raises(TreeTooLarge):
            await moved.collect(wide)
        deep = tmp_path / "deep" / "/".join(["d"] * (trees.DEPTH_MAX + 2))
        deep.mkdir(parents=True)
        with pytest.raises(TreeTooLarge, match="nested"):
            await Trees(store, tmp_path / "trees").collect(tmp_path / "deep")

    async def test_a_sparse_file_counts_by_its_size(
        self, store: FileObjectStore, tmp_path: Path
    ) -> None:
        """A file of a terabyte that takes no room on the disk is refused for its size."""
        source = tmp_path / "outputs"
        source.mkdir()
        with (source / "sparse").open("wb") as file:
            file.truncate(10**12)
        with pytest.raises(TreeTooLarge):
            await Trees(store, tmp_path / "trees").collect(source)

    async def test_a_missing_object_leaves_no_directory(
        self, store: FileObjectStore, tmp_path: Path
    ) -> None:
        """A directory is there with all of its files or not at all."""
        moved = Trees(store, tmp_path / "trees")
        await put(store, CONTENT)
        files = [StoredFile("a", DIGEST, len(CONTENT)), StoredFile("b", "0" * 64, 1)]
        with pytest.raises(ObjectMissing):
            await moved.directory("d" * 64, files)
        assert names_in(tmp_path / "trees") == []
