"""Files in and out of a workload's workspace: what it brought, its inputs, what it leaves behind.

A workspace is a directory that every node of the workload can reach, kept over all attempts, so that a
checkpoint written by one attempt is there for the next. Everything here may be repeated safely.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from galerne.drivers.base import Mount
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

        Files that are there stay as they are: an earlier attempt may have changed them.
        """
        workspace = self.workspace(workload_id)
        for name in (OUTPUTS, CHECKPOINTS, INPUTS):
            (workspace / name).mkdir(parents=True, exist_ok=True)
        missing = [file for file in files if not (workspace / file.path).exists()]
        await self._trees.materialize(missing, workspace)
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
            root = self.workspace(workload_id) / OUTPUTS / path
            if root.is_symlink() or not root.is_dir() or not any(root.iterdir()):
                raise OutputMissing(f"$GALERNE_OUTPUTS/{path} is not a directory with files")
            collected[path] = list(await self._trees.collect(root))
        return collected

    async def discard(self, workload_id: str) -> None:
        """Remove the workspace of a workload that has ended."""
        await asyncio.to_thread(shutil.rmtree, self.workspace(workload_id), ignore_errors=True)


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
