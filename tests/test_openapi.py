"""The API's description: current, complete, and true about who may call."""

import json
from pathlib import Path
from typing import Any

import pytest
from scripts import generate
from tests.databases import SqliteTemplate
from tests.scenarios.cloud import cloud

from galerne.iam.roles import ALL_SCOPES
from galerne.kit.clock import ManualClock

DOCUMENT: dict[str, Any] = json.loads((generate.ROOT / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in sorted(DOCUMENT["paths"].items())
    for method, operation in sorted(operations.items())
}
# The log's promise is worth something only if everybody can watch it.
WITHOUT_KEY = {"GET /api/v1/log/checkpoint"}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def test_the_committed_description_is_the_applications_own() -> None:
    """`openapi.json`, from which clients are made, says what this application does."""
    assert generate.document() == DOCUMENT, "run `make docs`"


def test_no_two_operations_share_a_name() -> None:
    """Each operation has an id of its own: clients name their methods by it."""
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_is_described_in_full(label: str) -> None:
    """It has a tag, a summary, a sentence, the scope it needs, and its errors are problems."""
    operation = OPERATIONS[label]
    assert len(operation["tags"]) == 1
    assert operation["summary"]
    assert operation["description"].partition("\n\n")[0].endswith(".")
    for status in ("4XX", "5XX"):
        assert operation["responses"][status]["content"] == PROBLEM
    assert [status for status in operation["responses"] if status.startswith("2")]
    scopes = {scope for each in operation["security"] for scope in each["apiKey"]}
    assert scopes <= ALL_SCOPES
    assert scopes or label in {*WITHOUT_KEY, "GET /api/v1/whoami"}


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_a_shape_says_what_it_is(name: str) -> None:
    """Every object has a description; its fields are named and typed."""
    shape = DOCUMENT["components"]["schemas"][name]
    if shape.get("type") != "object" or name.startswith("Page_"):
        return
    assert shape["description"]
    assert shape["properties"]


async def test_nothing_answers_without_a_key(
    sqlite_template: SqliteTemplate, tmp_path: Path, clock: ManualClock
) -> None:
    """Every operation but the public checkpoint answers 401 to a request without a key."""
    async with (
        sqlite_template.copy(tmp_path) as url,
        cloud(url, tmp_path, clock) as made,
        made.client("") as client,
    ):
        client.headers.pop("authorization")
        opened = {}
        for label in OPERATIONS:
            method, _, path = label.partition(" ")
            answer = await client.request(method, f"http://galerne{path}")
            opened[label] = (answer.status_code, answer.headers["content-type"])

    problem = (401, "application/problem+json")
    assert {label for label, found in opened.items() if found != problem} == WITHOUT_KEY
    assert {label for label, each in OPERATIONS.items() if each["security"] == []} == WITHOUT_KEY


async def test_probes_need_no_key(
    sqlite_template: SqliteTemplate, tmp_path: Path, clock: ManualClock
) -> None:
    """Health, readiness and metrics answer whoever asks: probes and scrapers hold no keys."""
    async with (
        sqlite_template.copy(tmp_path) as url,
        cloud(url, tmp_path, clock) as made,
        made.client("") as client,
    ):
        client.headers.pop("authorization")
        found = [
            (await client.get(f"http://galerne/{path}")).status_code
            for path in ("healthz", "readyz", "metrics")
        ]
    assert found == [200, 200, 200]
