"""Files in and out of a workload's workspace: what it brought, its inputs, what it leaves behind.

A workspace is a directory that every node of the workload can reach, kept over all attempts, so that a
checkpoint written by one attempt is there for the next. Everything here may be repeated safely.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from galerne.drivers.base import Mount
from galerne.drivers.errors import LaunchRefused
from galerne.integrations.objectstore.base import StoredFile
from galerne.integrations.objectstore.trees import Trees

OUTPUTS = "outputs"
CHECKPOINTS = "checkpoints"
INPUTS = "inputs"


class OutputMissing(Exception):  # noqa: N818 - names the condition
    """The job ended well without writing an output that its file names."""


@dataclass(frozen=True, slots=True)
class StagedInput:
    """An input by content, and the name it is mounted under."""

    name: str
    digest: str  # Names the content, so that one copy serves every workload that uses it.
    files: tuple[StoredFile, ...]


class Stager:
    """Prepares and empties workspaces below one root."""

    def __init__(self, trees: Trees, workspaces: Path) -> None:
        self._trees = trees
        self._workspaces = workspaces

    def workspace(self, workload_id: str) -> Path:
        return self._workspaces / workload_id

    async def prepare(
        self, workload_id: str, *, files: Sequence[StoredFile], inputs: Sequence[StagedInput]
    ) -> tuple[Mount, ...]:
        """Make the workspace with its files; return its inputs as read-only mounts.

        Files that are there stay as they are: an earlier attempt may have changed them. Where it has
        put a link or a file in the place of a directory, raises `LaunchRefused`: nothing is written
        through what a workload left.
        """
        workspace = self.workspace(workload_id)
        try:
            for name in (OUTPUTS, CHECKPOINTS, INPUTS):
                _refuse_links(workspace, name)
                (workspace / name).mkdir(parents=True, exist_ok=True)
            missing = [file for file in files if _is_missing(workspace, file.path)]
            await self._trees.materialize(missing, workspace)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _spoiled(f"{error.filename} is not what the files need it to be") from error
        return tuple(
            [
                Mount(
                    await self._trees.directory(given.digest, given.files), f"{INPUTS}/{given.name}"
                )
                for given in inputs
            ]
        )

    async def collect(
        self, workload_id: str, paths: Sequence[str]
    ) -> Mapping[str, list[StoredFile]]:
        """Put each output's files into the store; return them by output path.

        Raises `OutputMissing`, and what `Trees.collect` raises.
        """
        collected = {}
        for path in paths:
            workspace = self.workspace(workload_id)
            root = workspace / OUTPUTS / path
            if _link_on_the_way(workspace, f"{OUTPUTS}/{path}"):
                raise OutputMissing(f"$GALERNE_OUTPUTS/{path} is, or lies behind, a link")
            if not root.is_dir() or not any(root.iterdir()):
                raise OutputMissing(f"$GALERNE_OUTPUTS/{path} is not a directory with files")
            collected[path] = list(await self._trees.collect(root))
        return collected

    async def discard(self, workload_id: str) -> None:
        """Remove the workspace of a workload that has ended."""
        await asyncio.to_thread(shutil.rmtree, self.workspace(workload_id), ignore_errors=True)


def _is_missing(workspace: Path, path: str) -> bool:
    _refuse_links(workspace, str(PurePosixPath(path).parent))
    target = workspace / path
    return not (target.exists() or target.is_symlink())


def _refuse_links(workspace: Path, path: str) -> None:
    link = _link_on_the_way(workspace, path)
    if link is not None:
        raise _spoiled(f"an earlier attempt has put a link at {link}")


def _link_on_the_way(workspace: Path, path: str) -> str | None:
    """Return the first part of `path` that is a link. The workload has ended, so nothing moves."""
    here = workspace
    for part in PurePosixPath(path).parts:
        here /= part
        if here.is_symlink():
            return str(here.relative_to(workspace))
    return None


def _spoiled(message: str) -> LaunchRefused:
    return LaunchRefused(
        message,
        code="workspace_spoiled",
        hint="let no two `files` need the same place, and leave their directories as they are",
    )


def environment_of(
    workspace: Path, *, inputs: Mapping[str, str], nodes: int, cpu_millis: int, name: str
) -> dict[str, str]:
    """Return the variables that every job finds: where things are, and its place among the nodes."""
    cpus = str(max(1, cpu_millis // 1000))
    variables = {
        "GALERNE_RUN_NAME": name,
        "GALERNE_OUTPUTS": str(workspace / OUTPUTS),
        "GALERNE_CHECKPOINTS": str(workspace / CHECKPOINTS),
        "GALERNE_WORKING_DIR": str(workspace),
        "GALERNE_NODES_NUM": str(nodes),
        "GALERNE_CPUS": cpus,
        # Numerical libraries would otherwise start a thread for each core of the whole machine.
        "OMP_NUM_THREADS": cpus,
    }
    for input_name, target in inputs.items():
        key = "GALERNE_INPUT_" + input_name.upper().replace("-", "_")
        variables[key] = str(workspace / target)
    return variables
