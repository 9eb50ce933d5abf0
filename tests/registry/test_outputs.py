"""What a job left becomes artifacts, datasets and models: once, and never at the cost of one another."""

from typing import Any

from sqlalchemy import select
from tests.registry.api import FRANCE, Platform, digest_of, make_artifact

from galerne.db.session import Scope
from galerne.events.models import LogEntry
from galerne.registry.artifacts.models import Artifact
from galerne.registry.datasets.models import Dataset
from galerne.registry.models.models import RegisteredModel
from galerne.registry.outputs import MANY_LICENCES, TOPIC, UNKNOWN_LICENCE, OutputRegistrar
from galerne.worker.outbox import Message

LABEL = FRANCE | {"certifications": ["HDS"]}


def output(path: str, files: dict[str, bytes], **fields: Any) -> dict[str, Any]:
    listed = [
        {"path": name, "sha256": digest_of(content), "size_bytes": len(content)}
        for name, content in files.items()
    ]
    return {"path": path, "files": listed, "model": None, "dataset": None, "licence": None} | fields


async def deliver(
    registry: Platform, *outputs: dict[str, Any], inputs: list[dict[str, Any]] | None = None
) -> None:
    payload = {
        "job_id": "job_1",
        "job_name": "train",
        "organization_id": "org_1",
        "project_id": "prj_1",
        "label": LABEL,
        "inputs": inputs or [],
        "outputs": list(outputs),
    }
    message = Message("out_1", TOPIC, payload, registry.clock.now())
    async with registry.database.write(Scope.system()) as session:
        await OutputRegistrar(registry.clock, registry.trees)(session, message)


async def all_of(registry: Platform, table: type[Any]) -> list[Any]:
    async with registry.database.read(Scope.system()) as session:
        rows = (await session.scalars(select(table))).all()
        session.expunge_all()
        return list(rows)


async def test_a_model_has_the_jobs_label_and_lineage(registry: Platform) -> None:
    """The model says which job and inputs it came from, under the label the job ran with."""
    async with registry.client() as client:
        artifact = await make_artifact(client, {"texte": b"texte"})
        body = {
            "project": "alpha",
            "name": "europarl",
            "artifact_id": artifact["id"],
            "licence": "CC0-1.0",
        }
        dataset = (await client.post("/datasets", json=body)).json()
    given = {
        "kind": "dataset",
        "id": dataset["id"],
        "name": "europarl",
        "version": 1,
        "licence": "CC0-1.0",
    }
    for _ in range(2):
        await deliver(registry, output("model", {"m.gguf": b"GGUF"}, model="petit"), inputs=[given])
    (model,) = await all_of(registry, RegisteredModel)
    assert (model.name, model.version, model.licence) == ("petit", 1, "CC0-1.0")
    assert model.label == LABEL
    assert [item["id"] for item in model.lineage] == ["job_1", dataset["id"]]


async def test_an_output_without_a_name_is_kept(registry: Platform) -> None:
    """Files that are to be neither model nor dataset are an artifact."""
    await deliver(registry, output("logs", {"log.txt": b"..."}))
    (artifact,) = await all_of(registry, Artifact)
    assert artifact.source_id == "job_1:logs"
    assert await all_of(registry, Dataset) == []


async def test_what_is_no_model_does_not_stop_the_rest(registry: Platform) -> None:
    """Files that no runtime reads are kept, the log says why they are no model, the others go on."""
    await deliver(
        registry,
        output("weights", {"weights.bin": b"?"}, model="petit"),
        output("data", {"data.txt": b"!"}, dataset="made"),
    )
    assert await all_of(registry, RegisteredModel) == []
    (dataset,) = await all_of(registry, Dataset)
    assert (dataset.name, dataset.licence) == ("made", UNKNOWN_LICENCE)
    assert len(await all_of(registry, Artifact)) == 2
    (refusal,) = [e for e in await all_of(registry, LogEntry) if e.kind == "job.output_refused"]
    assert refusal.subject_id == "job_1"
    assert refusal.data["code"] == "model_format_unknown"


async def test_many_licences_fit(registry: Platform) -> None:
    """More licences than a row can spell are referred to, not cut off and not an error."""
    inputs = [
        {"kind": "dataset", "id": f"dset_{n}", "name": "x", "version": n, "licence": f"L-{n}" * 20}
        for n in range(9)
    ]
    await deliver(registry, output("data", {"d": b"d"}, dataset="made"), inputs=inputs)
    (dataset,) = await all_of(registry, Dataset)
    assert dataset.licence == MANY_LICENCES
