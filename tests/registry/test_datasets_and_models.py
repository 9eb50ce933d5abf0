"""Datasets and models: versions, licences, lineage, and labels that flow from one to the next."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from tests.registry.api import FRANCE, SIGNER, Platform, make_artifact, post_escaped

from galerne.db.session import Scope
from galerne.events.sequencer import Sequencer
from galerne.registry.datasets.errors import DatasetNotFound
from galerne.registry.datasets.schemas import DatasetCreate
from galerne.registry.datasets.service import DatasetRegistration, DatasetService
from galerne.registry.labels import LabelEmpty
from galerne.registry.models.errors import LineageUnknown, ModelFormatUnknown, ModelNotFound
from galerne.registry.models.models import ModelFormat
from galerne.registry.models.service import (
    LineageItem,
    ModelRegistration,
    ModelService,
    PublicModelEntry,
)
from galerne.registry.owner import Owner
from galerne.registry.reference import Reference, ReferenceInvalid
from galerne.sovereignty.labels import Label, parse_label
from galerne_client.proofs import verify

ALPHA = Owner("org_1", "prj_1", parse_label(["FR"]))
BETA = Owner("org_1", "prj_2", parse_label(["FR", "DE"]))
WEIGHTS = {"model.gguf": b"GGUF..."}


async def make_dataset(registry: Platform, name: str = "europarl", **fields: Any) -> dict[str, Any]:
    project = fields.pop("project", "alpha")
    async with registry.client() as client:
        artifact = await make_artifact(client, {"texte": b"texte"}, project=project)
        body = {
            "project": project,
            "name": name,
            "artifact_id": artifact["id"],
            "licence": "CC0-1.0",
            **fields,
        }
        answer = await client.post("/datasets", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def artifact_id(
    registry: Platform, files: dict[str, bytes] = WEIGHTS, project: str = "alpha"
) -> str:
    async with registry.client() as client:
        made = await make_artifact(client, files, project=project)
    return str(made["id"])


def models(registry: Platform, session: AsyncSession) -> ModelService:
    return ModelService(session, registry.clock, registry.trees)


class TestDatasets:
    """POST and GET /datasets."""

    async def test_versions_count_up(self, registry: Platform) -> None:
        """Each registration of a name in a project is its next version; other projects count alone."""
        made = [await make_dataset(registry) for _ in range(3)]
        other = await make_dataset(registry, project="beta")
        assert [each["version"] for each in [*made, other]] == [1, 2, 3, 1]

    async def test_versions_are_given_once(self, registry: Platform) -> None:
        """Registrations at the same time get different versions, without a gap."""
        made = await asyncio.gather(*(make_dataset(registry) for _ in range(4)))
        assert sorted(each["version"] for each in made) == [1, 2, 3, 4]

    async def test_it_is_listed_and_shown(self, registry: Platform) -> None:
        """A dataset is found by its id, its name and its project."""
        made = await make_dataset(registry, description="Débats", source={"url": "https://x"})
        await make_dataset(registry, "other")
        async with registry.client() as client:
            assert (await client.get(f"/datasets/{made['id']}")).json() == made
            listed = (await client.get("/datasets", params={"name": "europarl"})).json()
            assert listed["items"] == [made]
            both = (await client.get("/datasets", params={"project": "alpha"})).json()
            assert len(both["items"]) == 2
            none = (await client.get("/datasets", params={"project": "beta"})).json()
            assert none["items"] == []

    async def test_a_label_narrows(self, registry: Platform) -> None:
        """The label is what both the giver and the project allow."""
        wide = {"residency": ["EEA"], "certifications": ["HDS"]}
        made = await make_dataset(registry, label=wide)
        assert made["label"]["residency"] == ["FR"]
        assert made["label"]["certifications"] == ["HDS"]

    async def test_a_label_without_a_place_is_refused(self, registry: Platform) -> None:
        """Data for Germany only cannot be kept in a project for France only."""
        artifact = await artifact_id(registry)
        body = {
            "project": "alpha",
            "name": "x",
            "artifact_id": artifact,
            "licence": "CC0-1.0",
            "label": {"residency": ["DE"]},
        }
        async with registry.client() as client:
            answer = await client.post("/datasets", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "label_empty")

    async def test_bad_input_is_answered(self, registry: Platform) -> None:
        """What the shapes refuse is answered as such, whatever the database could keep."""
        artifact = await artifact_id(registry)
        body = {"project": "alpha", "name": "x", "artifact_id": artifact, "licence": "CC0-1.0"}
        async with registry.client() as client:
            for change in (
                {"licence": None},
                {"description": "\ud800"},
                {"source": {"x": "\0"}},
                {"label": {"residency": ["Europe"]}},
            ):
                answer = await post_escaped(client, "/datasets", body | change)
                assert answer.status_code in {400, 422}, answer.text

    async def test_an_artifact_of_another_project(self, registry: Platform) -> None:
        """Content flows from project to project under no name: its label would be lost."""
        elsewhere = await artifact_id(registry, project="beta")
        body = {"project": "alpha", "name": "x", "artifact_id": elsewhere, "licence": "CC0-1.0"}
        async with registry.client() as client:
            answer = await client.post("/datasets", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "artifact_not_found")

    async def test_anothers_is_not_there(self, registry: Platform) -> None:
        """Another organization's dataset is neither listed nor shown."""
        made = await make_dataset(registry)
        async with registry.client("second") as client:
            assert (await client.get("/datasets")).json()["items"] == []
            answer = await client.get(f"/datasets/{made['id']}")
        assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")

    async def test_resolving(self, registry: Platform) -> None:
        """A bare name is the newest version; an unknown one is answered with what there is."""
        first, second = await make_dataset(registry), await make_dataset(registry)
        async with registry.database.read(Scope.system()) as session:
            service = DatasetService(session, registry.clock)
            assert (await service.resolve("prj_1", "europarl")).id == second["id"]
            found = await service.resolve("prj_1", "europarl:1")
            assert found.id == first["id"]
            assert [file.path for file in found.manifest.files] == ["texte"]
            assert found.label == parse_label(["FR"])
            with pytest.raises(DatasetNotFound) as caught:
                await service.resolve("prj_1", "europarl:3")
            assert "europarl" in (caught.value.hint or "")
            with pytest.raises(DatasetNotFound):
                await service.resolve("prj_2", "europarl")

    async def test_once_by_source(self, registry: Platform) -> None:
        """What a job made is registered once, however often the message comes."""
        registration = DatasetRegistration(
            "made", await artifact_id(registry), "CC0-1.0", source_id="job_1:out"
        )
        versions = []
        for _ in range(2):
            async with registry.database.write(Scope.system()) as session:
                service = DatasetService(session, registry.clock)
                made = await service.register(registration, owner=ALPHA, actor="worker")
                versions.append(made.version)
        assert versions == [1, 1]


class TestModels:
    """Registering, finding and listing models."""

    async def register(self, registry: Platform, owner: Owner = ALPHA, **fields: Any) -> str:
        project = "alpha" if owner is ALPHA else "beta"
        files = fields.pop("files", WEIGHTS)
        registration = ModelRegistration(
            name=fields.pop("name", "petit"),
            artifact_id=await artifact_id(registry, files, project),
            licence="Apache-2.0",
            **fields,
        )
        async with registry.database.write(Scope.system()) as session:
            made = await models(registry, session).register(
                registration, owner=owner, actor="worker"
            )
            return made.id

    async def test_labels_flow_along_the_lineage(self, registry: Platform) -> None:
        """A model of a wide project that was tuned on narrow data is as narrow as the data."""
        dataset = await make_dataset(registry, project="beta", label={"residency": ["FR"]})
        item = LineageItem("dataset", dataset["id"], "europarl", 1)
        made_by = LineageItem("job", "job_1", "train")
        model_id = await self.register(registry, BETA, lineage=(made_by, item))
        child = LineageItem("model", model_id, "petit", 1)
        tuned_id = await self.register(registry, BETA, name="tuned", lineage=(child,))
        async with registry.client() as client:
            tuned = (await client.get(f"/models/{tuned_id}")).json()
            base = (await client.get(f"/models/{model_id}")).json()
        assert tuned["label"] == base["label"] == FRANCE
        assert [each["kind"] for each in base["lineage"]] == ["job", "dataset"]
        assert tuned["lineage"][0]["id"] == model_id

    async def test_labels_without_a_common_place(self, registry: Platform) -> None:
        """Inputs that no country may hold together make no model."""
        dataset = await make_dataset(registry, project="beta", label={"residency": ["FR"]})
        item = LineageItem("dataset", dataset["id"], "europarl", 1)
        with pytest.raises(LabelEmpty):
            await self.register(registry, BETA, lineage=(item,), label=parse_label(["DE"]))

    async def test_lineage_must_be_the_projects(self, registry: Platform) -> None:
        """A model cannot claim to come from what its project does not have."""
        dataset = await make_dataset(registry, project="beta")
        for item in (
            LineageItem("dataset", dataset["id"], "europarl", 1),
            LineageItem("model", "mdl_unknown", "x", 1),
        ):
            with pytest.raises(LineageUnknown):
                await self.register(registry, lineage=(item,))

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"a/model.gguf": b"x", "README.md": b"y"}, ModelFormat.GGUF),
            ({"model.safetensors": b"x", "config.json": b"y"}, ModelFormat.SAFETENSORS),
        ],
    )
    async def test_the_format_is_seen(
        self, registry: Platform, files: dict[str, bytes], expected: ModelFormat
    ) -> None:
        """Weights are told by their files, and resolve to where a runtime reads them."""
        await self.register(registry, files=files, metrics={"loss": 2.5}, context_tokens=512)
        async with registry.database.read(Scope.system()) as session:
            found = await models(registry, session).resolve("prj_1", "petit")
        assert (found.format, found.kind, found.context_tokens) == (expected, "registered", 512)
        assert found.manifest is not None
        kept = await registry.trees.directory(found.manifest.digest, found.manifest.files)
        if expected is ModelFormat.GGUF:
            assert found.path.read_bytes() == b"x"
        else:
            assert found.path == kept
            assert (kept / "config.json").read_bytes() == b"y"

    async def test_other_files_are_no_model(self, registry: Platform) -> None:
        """What no runtime reads is refused, with what a model is."""
        for files in (
            {"weights.bin": b""},
            {"a.gguf": b"", "b.gguf": b""},
            {"model.safetensors": b""},
        ):
            with pytest.raises(ModelFormatUnknown) as caught:
                await self.register(registry, files=files)
            assert ".gguf" in (caught.value.hint or "")

    async def test_a_projects_model_hides_a_public_one(self, registry: Platform) -> None:
        """Names are looked up in the project first, then among the public models."""
        await offer(registry, "petit")
        async with registry.database.read(Scope.system()) as session:
            found = await models(registry, session).resolve("prj_1", "petit")
            assert (found.kind, found.path, found.label) == ("public", Path("/w"), Label())
        own_id = await self.register(registry)
        async with registry.database.read(Scope.system()) as session:
            assert (await models(registry, session).resolve("prj_1", "petit")).id == own_id
            assert (await models(registry, session).resolve("prj_2", "petit")).kind == "public"

    async def test_an_unknown_model_is_answered_with_the_known(self, registry: Platform) -> None:
        """The hint names the project's models and the public ones, and no other project's."""
        await offer(registry, "public-one")
        await self.register(registry, name="own-one")
        await self.register(registry, BETA, name="other-one")
        async with registry.database.read(Scope.system()) as session:
            with pytest.raises(ModelNotFound) as caught:
                await models(registry, session).resolve("prj_1", "nothing")
        assert caught.value.hint == "it sees: own-one, public-one"

    async def test_offering_again(self, registry: Platform) -> None:
        """The same public model only moves; other content under its name is its next version."""
        first = await offer(registry, "petit")
        moved = await offer(registry, "petit", path=Path("/elsewhere"))
        other = await offer(registry, "petit", sha256="1" * 64)
        assert first == moved == (first[0], 1)
        assert other[1] == 2
        async with registry.database.read(Scope.system()) as session:
            found = await models(registry, session).resolve("prj_1", "petit:1")
        assert found.path == Path("/elsewhere")

    async def test_listing(self, registry: Platform) -> None:
        """Own and public models are listed together, page by page; another tenant sees the public."""
        await offer(registry, "public-one")
        for _ in range(3):
            await self.register(registry)
        seen: list[tuple[str, int]] = []
        cursor: str | None = None
        async with registry.client() as client:
            while True:
                params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
                listed = (await client.get("/models", params=params)).json()
                seen += [(each["name"], each["version"]) for each in listed["items"]]
                cursor = listed["next_cursor"]
                if cursor is None:
                    break
        assert seen == [("petit", 3), ("petit", 2), ("petit", 1), ("public-one", 1)]
        async with registry.client("second") as client:
            listed = (await client.get("/models")).json()
        assert [each["name"] for each in listed["items"]] == ["public-one"]
        assert listed["items"][0]["source"]["package"] == "weights"

    async def test_anothers_model_is_not_there(self, registry: Platform) -> None:
        """Another organization's model is answered as an unknown one is."""
        model_id = await self.register(registry)
        async with registry.client("second") as client:
            answer = await client.get(f"/models/{model_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")

    async def test_its_registration_is_proven(self, registry: Platform) -> None:
        """What a model came from is in the log, and verifies offline, through the API."""
        model_id = await self.register(registry)
        async with registry.client() as client:
            pending = await client.get(f"/proofs/{model_id}")
            assert (pending.status_code, pending.json()["code"]) == (409, "proof_pending")
            await Sequencer(registry.database, registry.clock, SIGNER, "test").run()
            bundle = (await client.get(f"/proofs/{model_id}")).json()
            checkpoint = await client.get("/log/checkpoint", headers={"authorization": ""})
        outcome = verify(bundle, trusted_key=SIGNER.verifier_key)
        assert outcome.failures == ()
        assert bundle["summary"]["label"]["residency"] == ["FR"]
        assert checkpoint.text == bundle["checkpoint"]


async def offer(registry: Platform, name: str, **fields: Any) -> tuple[str, int]:
    entry: dict[str, Any] = {
        "name": name,
        "format": ModelFormat.GGUF,
        "path": Path("/w"),
        "licence": "Apache-2.0",
        "source": {"package": "weights", "version": "1"},
        "sha256": "0" * 64,
        "size_bytes": 7,
        "context_tokens": 2048,
        **fields,
    }
    async with registry.database.write(Scope.system()) as session:
        made = await models(registry, session).ensure_public(PublicModelEntry(**entry))
        return made.id, made.version


@pytest.mark.parametrize(
    "change",
    [
        {"licence": None},
        {"licence": ""},
        {"licence": "a\0b"},
        {"name": "../x"},
        {"name": "X"},
        {"name": "x\n"},
        {"label": {}},
        {"source": {"x": "\0"}},
        {"source": {"\ud800": 1}},
        {"source": {"x": ["\x1b[31m"]}},
        {"source": {"x": float("nan")}},
        {"source": {"x": 2**60}},
        {"source": {"x": "y" * 30_000}},
        {"description": "\ud800"},
        {"unknown": 1},
    ],
)
def test_bad_datasets(change: dict[str, Any]) -> None:
    """A missing licence, a bad name or label, unkeepable text and unknown keys are refused."""
    good = {"name": "x", "artifact_id": "art_1", "licence": "CC0-1.0", "source": {"é": [1, "a\n"]}}
    assert DatasetCreate.model_validate(good).name == "x"
    with pytest.raises(ValidationError):
        DatasetCreate.model_validate(good | change)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("europarl", Reference("europarl")),
        ("europarl:2", Reference("europarl", 2)),
        ("europarl:v12", Reference("europarl", 12)),
    ],
)
def test_references(text: str, expected: Reference) -> None:
    """A reference is a name, and a version where one is wanted."""
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":1", "a:", "a:0", "a:-1", "a:1:2", "A", "a b", "../a", "a\n", "a:1\n", "a" * 64]
)
def test_bad_references(text: str) -> None:
    """Anything else is refused with how to write one."""
    with pytest.raises(ReferenceInvalid) as caught:
        Reference.parse(text)
    assert "name:version" in (caught.value.hint or "")
