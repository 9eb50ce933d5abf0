"""What a job leaves behind becomes artifacts, and where its file says so, models or datasets.

Handles the outbox topic `job.outputs`: once for each job that succeeded, in the transaction that removes
the message. The files are in the object store already, and are kept as an artifact in any case; where they
cannot be the model or dataset that they were to be, the log says why, under the job.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.events.emit import emit
from galerne.integrations.objectstore.trees import Trees
from galerne.kit.clock import Clock
from galerne.registry.artifacts.manifest import Manifest
from galerne.registry.artifacts.service import ArtifactService
from galerne.registry.datasets.service import DatasetRegistration, DatasetService
from galerne.registry.models.service import LineageItem, ModelRegistration, ModelService
from galerne.registry.owner import Owner
from galerne.rest.errors import BadRequest, GalerneError, NotFound, Unprocessable
from galerne.sovereignty.labels import Label
from galerne.worker.outbox import Message

TOPIC = "job.outputs"
UNKNOWN_LICENCE = "LicenseRef-unknown"
MANY_LICENCES = "LicenseRef-see-lineage"  # More than the column holds; each input has its own.
LICENCE_LENGTH_MAX = 200
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
        registrations = {"dataset": self._register_dataset, "model": self._register_model}
        for kind, register in registrations.items():
            if not output[kind]:
                continue
            try:
                await register(session, _Made(job, output, artifact.id, owner, source_id))
            except (BadRequest, NotFound, Unprocessable) as refusal:
                # Trying again would not help, and would keep the other outputs waiting for ever.
                self._record_refusal(session, job, output, kind=kind, refusal=refusal)

    async def _register_dataset(self, session: AsyncSession, made: "_Made") -> None:
        await DatasetService(session, self.clock).register(
            DatasetRegistration(
                name=made.output["dataset"],
                artifact_id=made.artifact_id,
                licence=made.licence,
                source={"job": made.job["job_id"], "inputs": _names(made.job["inputs"])},
                description=made.description,
                source_id=made.source_id,
            ),
            owner=made.owner,
            actor=ACTOR,
        )

    async def _register_model(self, session: AsyncSession, made: "_Made") -> None:
        await ModelService(session, self.clock, self.trees).register(
            ModelRegistration(
                name=made.output["model"],
                artifact_id=made.artifact_id,
                licence=made.licence,
                lineage=_lineage(made.job),
                description=made.description,
                source_id=made.source_id,
            ),
            owner=made.owner,
            actor=ACTOR,
        )

    def _record_refusal(
        self,
        session: AsyncSession,
        job: dict[str, Any],
        output: dict[str, Any],
        *,
        kind: str,
        refusal: GalerneError,
    ) -> None:
        emit(
            session,
            "job.output_refused",
            subject_id=job["job_id"],
            organization_id=job["organization_id"],
            project_id=job["project_id"],
            actor=ACTOR,
            data={
                "output": output["path"],
                "as": kind,
                "name": output[kind],
                "code": refusal.code,
                "message": refusal.message,
                "hint": refusal.hint,
            },
            at=self.clock.now(),
        )


@dataclass(frozen=True, slots=True)
class _Made:
    """One output, kept as an artifact, on its way to a name."""

    job: dict[str, Any]
    output: dict[str, Any]
    artifact_id: str
    owner: Owner
    source_id: str

    @property
    def licence(self) -> str:
        return self.output["licence"] or _licence_of(self.job["inputs"])

    @property
    def description(self) -> str:
        return f"Output {self.output['path']} of the job {self.job['job_name']}"


def _licence_of(inputs: Sequence[dict[str, Any]]) -> str:
    """Join the inputs' licences: what is derived carries the terms of everything it came from."""
    licences = sorted({given["licence"] for given in inputs})
    compound = [f"({text})" if " " in text and len(licences) > 1 else text for text in licences]
    joined = " AND ".join(compound) or UNKNOWN_LICENCE
    return joined if len(joined) <= LICENCE_LENGTH_MAX else MANY_LICENCES


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
