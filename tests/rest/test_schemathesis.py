"""The API against its own description: schemathesis sends what that allows, and what it does not.

The real application in this process, on SQLite and the fake engine, asked with the operator's key. Every
operation gets a few requests of each kind, the same in every run, half of them about things that exist.
What is found is a fault of the API, or of what it says of itself.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.databases import SqliteTemplate
from tests.scenarios.cloud import Cloud, cloud

from galerne.db.session import Scope
from galerne.events.sequencer import Sequencer
from galerne.kit.clock import ManualClock
from galerne.registry.models.models import ModelFormat
from galerne.registry.models.service import ModelService, PublicModelEntry

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "openapi.json").read_text(encoding="utf-8")
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
CONTENT = b"sixteen bytes...\n"
SPEC = {"type": "job", "name": "found", "commands": ["true"], "max_duration": "10m"}


def requests() -> Iterator[Any]:
    """Name every operation, and whether to ask it as it is described or otherwise."""
    for path, operations in sorted(DOCUMENT["paths"].items()):
        for method, operation in sorted(operations.items()):
            label = f"{method.upper()} {path}"
            yield pytest.param(label, GenerationMode.POSITIVE, id=f"{label}-valid")
            if "requestBody" in operation or any(
                map(can_be_wrong, operation.get("parameters", ()))
            ):
                yield pytest.param(label, GenerationMode.NEGATIVE, id=f"{label}-invalid")


def can_be_wrong(parameter: dict[str, Any]) -> bool:
    """Say whether there is a wrong value; any text will do for an id in a path."""
    return parameter["in"] != "path" or "pattern" in parameter["schema"]


class Platform:
    """A platform with one thing of each kind, and a way to send it what schemathesis made up."""

    def __init__(self, runner: asyncio.Runner, made: Cloud) -> None:
        self._runner = runner
        self._client = made.client(made.operator_key)
        self.schema = schemathesis.openapi.from_dict(DOCUMENT, config=_config())
        self.known: dict[str, str] = {}

    async def furnish(self, made: Cloud) -> None:
        """Make one thing of each kind, so that requests about what exists are not all refused."""
        digest = hashlib.sha256(CONTENT).hexdigest()
        label = {"residency": ["EU"]}
        project = await self._post("/projects", {"name": "known", "label": label})
        member = await self._post(
            "/members", {"email": "second@example.fr", "name": "Second", "role": "viewer"}
        )
        key = await self._post("/api-keys", {"name": "second", "member_id": member["id"]})
        job = await self._post("/jobs", {"spec": SPEC})
        await self._client.put(f"/blobs/{digest}", content=CONTENT)
        file = {"path": "a.txt", "sha256": digest, "size_bytes": len(CONTENT)}
        artifact = await self._post("/artifacts", {"project": "known", "files": [file]})
        dataset = await self._post(
            "/datasets",
            {
                "project": "known",
                "name": "texts",
                "artifact_id": artifact["id"],
                "licence": "CC0-1.0",
            },
        )
        await made.work()
        model_id = await self._offer_model(made)
        spec = {"type": "deployment", "name": "chat", "model": "tiny", "runtime": "fake"}
        deployment = await self._post("/deployments", {"spec": spec})
        sequencer = Sequencer(made.platform.database, made.clock, made.platform.signer, "test")
        assert await sequencer.run()
        whoami = (await self._client.get("/whoami")).json()
        self.known = {
            "project_id": project["id"],
            "organization_id": whoami["organization"]["id"],
            "member_id": member["id"],
            "key_id": key["id"],
            "job_id": job["id"],
            "subject_id": job["id"],
            "sha256": digest,
            "artifact_id": artifact["id"],
            "path": "a.txt",
            "dataset_id": dataset["id"],
            "model_id": model_id,
            "deployment_id": deployment["id"],
        }

    async def _offer_model(self, made: Cloud) -> str:
        entry = PublicModelEntry(
            name="tiny",
            format=ModelFormat.GGUF,
            path=made.platform.settings.data_dir / "tiny.gguf",
            licence="Apache-2.0",
            source={"package": "tiny", "version": "1"},
            sha256="0" * 64,
            size_bytes=1,
            context_tokens=2048,
        )
        async with made.platform.database.write(Scope.system()) as session:
            models = ModelService(session, made.clock, made.platform.trees)
            await models.ensure_public(entry)
        found = (await self._client.get("/models?name=tiny")).json()["items"]
        return str(found[0]["id"])

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._client.post(path, json=body)
        assert answer.status_code in {201, 202}, answer.text
        return dict(answer.json())

    def send(self, case: Case[Any]) -> httpx2.Response:
        made = case.as_transport_kwargs(base_url="http://galerne")
        if "data" in made:
            made["content"] = made.pop("data")
        made.pop("cookies", None)
        return self._runner.run(self._client.request(**made))

    async def close(self) -> None:
        await self._client.aclose()


def _config() -> SchemathesisConfig:
    # The key is sent with every request: leaving it out is `tests/test_openapi.py`'s claim.
    generation = GenerationConfig(with_security_parameters=False, database="none")
    return SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(generation=generation)))


@pytest.fixture(scope="module")
def platform(
    sqlite_template: SqliteTemplate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """One platform for all operations: what one leaves behind is there for the next."""
    folder = tmp_path_factory.mktemp("schemathesis")
    clock = ManualClock(datetime(2026, 11, 22, 12, tzinfo=UTC))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def open_all() -> Platform:
            url = await stack.enter_async_context(sqlite_template.copy(folder))
            made = await stack.enter_async_context(cloud(url, folder, clock))
            opened = Platform(runner, made)
            stack.push_async_callback(opened.close)
            await opened.furnish(made)
            return opened

        yield runner.run(open_all())
        runner.run(stack.aclose())


@pytest.mark.parametrize(("label", "mode"), list(requests()))
def test_every_operation_does_as_it_is_described(
    platform: Platform, label: str, mode: GenerationMode
) -> None:
    """Valid or not, a request gets a described status, media type and shape, and never a crash."""
    operation = platform.schema.find_operation_by_label(label)
    assert operation is not None

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), of_known=st.booleans())
    def answers(case: Case[Any], of_known: bool) -> None:
        if of_known:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = platform.known.get(name, case.path_parameters[name])
        case.validate_response(platform.send(case), checks=CHECKS)

    answers()
