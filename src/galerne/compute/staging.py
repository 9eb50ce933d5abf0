"""Files in and out of a workload's workspace: what it brought, its inputs, what it leaves behind.

A workspace is a directory that every node of the workload can reach, kept over all attempts, so that a
checkpoint written by one attempt is there for the next. Everything here may be repeated safely.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from galerne.compute.admission import ManifestFile
from galerne.drivers.base import Mount
from galerne.integrations.objectstore.base import CHUNK_BYTES, ObjectStore

OUTPUTS = "outputs"
CHECKPOINTS = "checkpoints"
INPUTS = "inputs"
OUTPUT_FILES_MAX = 10_000
OUTPUT_BYTES_MAX = 2**40


class OutputMissing(Exception):  # noqa: N818 - names the condition
    """The job ended well without writing an output that its file names."""


class OutputRefused(Exception):  # noqa: N818 - names the condition
    """An output holds something that cannot be kept: a link, a device, too many files."""


@dataclass(frozen=True, slots=True)
class StagedInput:
    """An input by content, and the name it is mounted under."""

    name: str
    tree: str  # Names the content, so that one copy serves every workload that uses it.
    files: tuple[ManifestFile, ...]


class Stager:
    """Prepares and empties workspaces below one root."""

    def __init__(self, store: ObjectStore, *, workspaces: Path, inputs: Path) -> None:
        self._store = store
        self._workspaces = workspaces
        self._inputs = inputs

    def workspace(self, workload_id: str) -> Path:
        return self._workspaces / workload_id

    async def prepare(
        self, workload_id: str, *, files: Sequence[ManifestFile], inputs: Sequence[StagedInput]
    ) -> tuple[Mount, ...]:
        """Make the workspace with its files; return its inputs as read-only mounts."""
        workspace = self.workspace(workload_id)
        for name in ("", OUTPUTS, CHECKPOINTS, INPUTS):
            (workspace / name).mkdir(parents=True, exist_ok=True)
        for file in files:
            await self._place(file, workspace / file.path, may_change=True)
        return tuple([await self._mount(staged) for staged in inputs])

    async def _mount(self, staged: StagedInput) -> Mount:
        root = self._inputs / staged.tree
        complete = root.with_suffix(".complete")
        if not complete.exists():
            for file in staged.files:
                await self._place(file, root / file.path, may_change=False)
            complete.touch()
        return Mount(source=root, target=f"{INPUTS}/{staged.name}")

    async def _place(self, file: ManifestFile, target: Path, *, may_change: bool) -> None:
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        # A link would let a workload that edits its own file edit the store's copy.
        await self._store.materialize(
            file.sha256, target, executable=file.executable, link=not may_change
        )

    async def collect(
        self, workload_id: str, paths: Sequence[str]
    ) -> Mapping[str, list[ManifestFile]]:
        """Put each output's files into the store; return their manifests by output path."""
        return {path: await self._collect_one(workload_id, path) for path in paths}

    async def _collect_one(self, workload_id: str, path: str) -> list[ManifestFile]:
        root = self.workspace(workload_id) / OUTPUTS / path
        found = await asyncio.to_thread(_walk, root)
        if not found:
            raise OutputMissing(f"$GALERNE_OUTPUTS/{path} is missing or empty")
        manifest = []
        for file in found:
            stored = await self._store.put(_chunks(file), bytes_max=OUTPUT_BYTES_MAX)
            manifest.append(
                ManifestFile(
                    path=file.relative_to(root).as_posix() if root.is_dir() else file.name,
                    sha256=stored.sha256,
                    size_bytes=stored.size_bytes,
                )
            )
        return manifest

    async def discard(self, workload_id: str) -> None:
        """Remove the workspace of a workload that has ended."""
        await asyncio.to_thread(shutil.rmtree, self.workspace(workload_id), ignore_errors=True)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


def _walk(root: Path) -> list[Path]:
    """List the regular files under `root`, sorted. Links could point out of the workspace."""
    if root.is_symlink():
        raise OutputRefused(f"{root.name} is a symbolic link")
    if root.is_file():
        return [root]
    files = []
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise OutputRefused(f"{path.relative_to(root)} is not a regular file")
        if path.is_file():
            files.append(path)
        if len(files) > OUTPUT_FILES_MAX:
            raise OutputRefused(f"more than {OUTPUT_FILES_MAX} files")
    return files


def environment_of(
    workspace: Path, *, inputs: Mapping[str, str], nodes: int, cpu_millis: int, name: str
) -> dict[str, str]:
    """Return the variables that every job finds: where things are, and its place among the nodes."""
    variables = {
        "GALERNE_RUN_NAME": name,
        "GALERNE_OUTPUTS": str(workspace / OUTPUTS),
        "GALERNE_CHECKPOINTS": str(workspace / CHECKPOINTS),
        "GALERNE_WORKING_DIR": str(workspace),
        "GALERNE_NODES_NUM": str(nodes),
        "GALERNE_CPUS": str(max(1, cpu_millis // 1000)),
        # Numerical libraries would otherwise start a thread for each core of the whole machine.
        "OMP_NUM_THREADS": str(max(1, cpu_millis // 1000)),
    }
    for input_name, target in inputs.items():
        key = "GALERNE_INPUT_" + input_name.upper().replace("-", "_")
        variables[key] = str(workspace / target)
    return variables
