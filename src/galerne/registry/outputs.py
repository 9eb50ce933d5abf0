"""What a job leaves behind becomes artifacts, and where its file says so, models or datasets.

Handles the outbox topic `job.outputs`: once for each job that succeeded, in the transaction that removes
the message. The files are in the object store already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.integrations.objectstore.trees import Trees
from galerne.kit.clock import Clock
from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.datasets.service import DatasetRegistration, DatasetService
from galerne.registry.models.service import LineageItem, ModelRegistration, ModelService
from galerne.registry.owner import Owner
from galerne.sovereignty.labels import Label
from galerne.worker.outbox import Message

TOPIC = "job.outputs"
UNKNOWN_LICENCE = "LicenseRef-unknown"
ACTOR = "worker"


@dataclass(frozen=True, slots=True)
class OutputRegistrar:
    """The topic's handler."""

    clock: Clock
    trees: Trees

    async def __call__(self, session: AsyncSession, message: Message) -> None:
        job = message.payload
        owner = Owner(job["organization_id"], job["project_id"], Label.from_json(job["label"]))
        for output in job["outputs"]:
            await self._register(session, job, output, owner)

    async def _register(
        self, session: AsyncSession, job: dict[str, Any], output: dict[str, Any], owner: Owner
    ) -> None:
        source_id = f"{job['job_id']}:{output['path']}"
        artifact = await ArtifactService(session, self.clock).store(
            Manifest.from_json(output["files"]), owner=owner, source_id=source_id, actor=ACTOR
        )
        licence = output["licence"] or _licence_of(job["inputs"])
        if output["dataset"]:
            await DatasetService(session, self.clock).register(
                DatasetRegistration(
                    name=output["dataset"],
                    artifact_id=artifact.id,
                    licence=licence,
                    source={"job": job["job_id"], "inputs": _names(job["inputs"])},
                    description=f"Output {output['path']} of the job {job['job_name']}",
                    source_id=source_id,
                ),
                owner=owner,
                actor=ACTOR,
            )
        if output["model"]:
            await ModelService(session, self.clock, self.trees).register(
                ModelRegistration(
                    name=output["model"],
                    artifact_id=artifact.id,
                    licence=licence,
                    lineage=_lineage(job),
                    description=f"Output {output['path']} of the job {job['job_name']}",
                    source_id=source_id,
                ),
                owner=owner,
                actor=ACTOR,
            )


def _licence_of(inputs: Sequence[dict[str, Any]]) -> str:
    """Join the inputs' licences: what is derived carries the terms of everything it came from."""
    licences = sorted({given["licence"] for given in inputs})
    compound = [f"({text})" if " " in text and len(licences) > 1 else text for text in licences]
    return " AND ".join(compound) or UNKNOWN_LICENCE


def _names(inputs: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{given['name']}:{given['version']}" for given in inputs]


def _lineage(job: dict[str, Any]) -> tuple[LineageItem, ...]:
    made_by = LineageItem(kind="job", id=job["job_id"], name=job["job_name"])
    inputs = [
        LineageItem(
            kind=given["kind"], id=given["id"], name=given["name"], version=given["version"]
        )
        for given in job["inputs"]
    ]
    return (made_by, *inputs)
