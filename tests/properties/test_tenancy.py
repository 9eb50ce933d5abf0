"""Tenancy: whatever one tenant asks, the API answers as if no other tenant existed.

The operations come from the OpenAPI document and the other tenant's rows from the tables, so that a new
noun is covered on the day it is mounted. Every table of tenants holds two rows of the other one: a
*probed* one, whose ids and names the caller sends, and a *hidden* one, which nobody sends and which no
answer may therefore contain.
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Boolean, Column, Enum, LargeBinary, String, Table, select

from galerne.config import Settings
from galerne.db.base import Base
from galerne.db.row_security import tenant_tables
from galerne.db.session import Database, Scope
from galerne.db.tables import load_tables
from galerne.db.types import UtcDateTime
from galerne.entrypoints.api import build_app
from galerne.entrypoints.preparation import seed
from galerne.entrypoints.wiring import api_context, open_platform
from galerne.kit.clock import ManualClock
from galerne.kit.ids import new_id

Json = dict[str, Any]
PROBED, HIDDEN = "probed", "hidden"
# Made through the API, for the rows that others refer to.
BY_API = {"organizations", "projects", "members", "api_keys"}
FRESH = re.compile(r"\b[a-z]+_[0-9a-hjkmnp-tv-z]{26}\b|gal_[\w-]{43}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, from the OpenAPI document."""

    method: str
    path: str
    queries: dict[str, Json]
    body: Json | None

    @property
    def names_an_object(self) -> bool:
        return "{" in self.path


@dataclass(frozen=True, slots=True)
class Request:
    """A call about to be made. `twin` is the same about things that do not exist."""

    method: str
    path: str
    query: Json
    body: Json | None

    def twin(self, twins: dict[str, str]) -> "Request":
        text = json.dumps([self.path, self.query, self.body])
        path, query, body = json.loads(_replace(text, twins))
        return Request(self.method, path, query, body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and, of a refusal, what it says once names and fresh ids are made the same."""

    status: int
    refusal: str


class Stage:
    """Two tenants on one platform: the caller, and the other one, whose rows are everywhere."""

    def __init__(self, app: FastAPI, database: Database, clock: ManualClock) -> None:
        self.database = database
        self._clock = clock
        self.spec = app.openapi()
        self._client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://api"
        )
        self._caller = ""
        self._ids: dict[str, str] = {}
        self._probed: list[str] = []
        self._hidden: list[str] = []
        self._twins: list[dict[str, str]] = []
        self._organization_id = ""
        self._rows_before: dict[str, list[str]] = {}

    @property
    def probed(self) -> list[str]:
        """What the caller may have heard of: ids and names of the other tenant's."""
        return self._probed

    def ids_for(self, operation: Operation) -> list[str]:
        """Return the foreign ids of the tables that a path names: every one where none is like it."""
        kinds = [word.removesuffix("_id") for word in re.findall(r"\{(\w+)\}", operation.path)]
        like = [made for table, made in self._ids.items() if any(kind in table for kind in kinds)]
        return like or [*self._ids.values()]

    async def set(self, operator: str) -> None:
        self._caller, _ = await self._found(operator, "caller")
        await self._send(self._caller, "POST", "/api/v1/projects", body=_project("mine"))
        other, organization_id = await self._found(operator, "other")
        for kind in (PROBED, HIDDEN):
            made = await self._furnish(other, organization_id, kind)
            names = [f"{kind}-project", f"{kind}@other.example", f"{kind}-jobs-name"]
            if kind == PROBED:
                self._ids = {"organizations": organization_id, **made}
                self._probed = [*self._ids.values(), *names]
            else:
                self._hidden = [*made.values(), *names]
        self._twins = [
            {token: _absent(token, letter) for token in self._probed} for letter in ("a", "b")
        ]
        self._organization_id = organization_id
        self._rows_before = await self._others_rows()

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, request: Request) -> None:
        """Make a call about the other tenant's things, and see that it is as about nothing at all.

        A twin goes before it, and another one after, for a call may rightly differ when repeated.
        """
        first, second = (request.twin(twins) for twins in self._twins)
        before = await self.answer(first)
        answer = await self.answer(request)
        if answer != before:
            assert answer == await self.answer(second), f"{request}, but about nothing: {before}"

    async def answer(self, request: Request) -> Answer:
        response = await self._send(
            self._caller, request.method, request.path, query=request.query, body=request.body
        )
        assert response.status_code < 500, (request, response.text)
        for token in (HIDDEN, *self._hidden):
            assert token not in response.text, f"{request} shows {token}"
        return Answer(response.status_code, self._alike(response))

    async def check_untouched(self) -> None:
        """See that the other tenant's rows are what they were: none changed, none more, none fewer."""
        assert await self._others_rows() == self._rows_before

    async def _others_rows(self) -> dict[str, list[str]]:
        """Return every row of the other tenant, of every table."""
        found: dict[str, list[str]] = {}
        async with self.database.read(Scope.system()) as session:
            for table in _tables():
                theirs = select(table).where(table.c.organization_id == self._organization_id)
                rows = await session.execute(theirs.order_by(table.c.id))
                found[table.name] = [str(tuple(row)) for row in rows]
        return found

    def _alike(self, response: httpx2.Response) -> str:
        if response.status_code < 400:
            return ""
        text = response.text
        for twins in self._twins:
            text = _replace(text, {twin: token for token, twin in twins.items()})
        return FRESH.sub("<id>", text)

    async def _send(
        self, secret: str, method: str, path: str, *, query: Json | None = None, body: Any = None
    ) -> httpx2.Response:
        headers = {"authorization": f"Bearer {secret}"}
        return await self._client.request(method, path, params=query, json=body, headers=headers)

    async def _make(self, secret: str, path: str, body: Json) -> Json:
        response = await self._send(secret, "POST", f"/api/v1/{path}", body=body)
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def _found(self, operator: str, name: str) -> tuple[str, str]:
        owner = {"email": f"owner@{name}.example", "name": "Owner"}
        body = {"legal_name": name, "country": "FR", "owner": owner}
        made = await self._make(operator, "organizations", body)
        return made["secret"], made["id"]

    async def _furnish(self, secret: str, organization_id: str, kind: str) -> dict[str, str]:
        """Give the other tenant one row of every table; return their ids by table."""
        project = await self._make(secret, "projects", _project(f"{kind}-project"))
        person = {"email": f"{kind}@other.example", "name": kind, "role": "viewer"}
        member = await self._make(secret, "members", person)
        key = await self._make(secret, "api-keys", {"name": kind, "project": project["id"]})
        made = {"projects": project["id"], "members": member["id"], "api_keys": key["id"]}
        async with self.database.write(Scope.system()) as session:
            for table in _tables():
                if table.name not in BY_API:
                    row = self._row(table, organization_id, kind, made)
                    await session.execute(table.insert().values(row))
                    made[table.name] = row["id"]
        return made

    def _row(self, table: Table, organization_id: str, kind: str, made: dict[str, str]) -> Json:
        given = {
            "id": new_id(_prefix(table)),
            "organization_id": organization_id,
            "project_id": made["projects"],
        }
        return {
            column.name: given.get(column.name) or self._value(column, kind, made)
            for column in table.columns
        }

    def _value(self, column: "Column[Any]", kind: str, made: dict[str, str]) -> Any:
        """Return something of the column's type that names itself where it can."""
        for key in column.foreign_keys:
            return made.get(key.column.table.name)
        name = f"{kind}-{column.table.name}-{column.name}"
        match column.type:
            case Enum(enums=[first, *_]):
                return first
            case String(length=length):
                return name[:length]
            case LargeBinary():
                return hashlib.sha256(name.encode()).digest()
            case JSON():
                return {"marker": name}
            case UtcDateTime():
                return None if column.nullable else self._clock.now()
            case Boolean():
                return False
        return None if column.nullable else 1


@pytest.fixture
def app_of() -> Callable[..., FastAPI]:
    """How the application under test is built."""
    return build_app


@pytest.fixture
async def stage(
    app_of: Callable[..., FastAPI], database_url: str, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Stage]:
    """A platform with two tenants, where the other one has some of everything."""
    configured = Settings(data_dir=tmp_path / "data", database_url=database_url)
    configured.data_dir.mkdir()
    async with open_platform(configured, clock) as platform:
        operator = await seed(platform)
        assert operator is not None
        made = Stage(app_of(api_context(platform)), platform.database, clock)
        await made.set(operator)
        yield made
        await made.close()


async def test_an_id_of_anothers_is_as_unknown_as_an_invented_one(stage: Stage) -> None:
    """Each path that names an object answers a foreign id of its kind as one that does not exist."""
    for operation in operations(stage.spec):
        if operation.names_an_object:
            body: Json | None = None if operation.body is None else {}
            for foreign_id in stage.ids_for(operation):
                path = re.sub(r"\{\w+\}", foreign_id, operation.path)
                await stage.ask(Request(operation.method, path, {}, body))
    await stage.check_untouched()


async def test_no_list_shows_what_is_anothers(stage: Stage) -> None:
    """Each list and total, asked for without conditions, holds nothing of another tenant's."""
    for operation in operations(stage.spec):
        if operation.method == "GET" and not operation.names_an_object:
            answer = await stage.answer(Request("GET", operation.path, {}, None))
            assert answer.status in {200, 404}, operation  # 404: nothing is there for anyone yet.


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    # One pair of tenants for all examples: what the caller did before must not matter either.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_whatever_is_asked_another_tenant_does_not_exist(
    stage: Stage, data: st.DataObject
) -> None:
    """Requests of any shape that mention another's ids and names find, change and reveal nothing."""
    for _ in range(3):
        await stage.ask(data.draw(requests(stage.spec, stage.probed)))
    await stage.check_untouched()


def operations(spec: Json) -> list[Operation]:
    """Return every operation that the document names."""
    return [
        Operation(method.upper(), path, _queries(operation), _body(operation))
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
    ]


@st.composite
def requests(draw: st.DrawFn, spec: Json, probed: list[str]) -> Request:
    """Draw a call that mentions what is another's wherever a text may stand, in query or body."""
    speaking = [each for each in operations(spec) if each.queries or each.body]
    operation = draw(st.sampled_from(speaking))
    names = st.sampled_from(probed)
    path = re.sub(r"\{\w+\}", lambda _: draw(names), operation.path)
    query = {
        name: draw(_values(schema, spec, names))
        for name, schema in operation.queries.items()
        if name != "wait_seconds" and draw(st.booleans())
    }
    query = {name: value for name, value in query.items() if value is not None}
    body = None if operation.body is None else draw(_values(operation.body, spec, names))
    return Request(operation.method, path, query, body)


def _values(schema: Json, spec: Json, names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return values that a JSON schema allows, mostly; `names` stand for text."""
    match schema:
        case {"$ref": ref}:
            return _values(spec["components"]["schemas"][ref.rsplit("/")[-1]], spec, names)
        case {"anyOf": choices} | {"oneOf": choices}:
            return st.one_of([_values(choice, spec, names) for choice in choices])
        case {"type": "object"}:
            return _objects(schema, spec, names)
        case {"type": "array"}:
            least = schema.get("minItems", 0)
            item = _values(schema.get("items", {}), spec, names)
            return st.lists(item, min_size=least, max_size=least + 1)
    return _scalars(schema, names)


def _scalars(schema: Json, names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    match schema:
        case {"const": constant}:
            return st.just(constant)
        case {"enum": members}:
            return st.sampled_from(members)
        case {"type": "integer" | "number"}:
            least = int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
            return st.integers(least, min(int(schema.get("maximum", least + 5)), least + 5))
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "null"}:
            return st.none()
        case {"pattern": pattern}:
            written = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
            return st.one_of(names, written.map(lambda text: text[: schema.get("maxLength", 40)]))
        case {"format": "date-time"}:
            return st.just("2026-11-23T00:00:00Z")
    return st.one_of(names, st.sampled_from(["mine", "FR", "10m", "1GB"]))


def _objects(schema: Json, spec: Json, names: st.SearchStrategy[str]) -> st.SearchStrategy[Json]:
    fields = {
        name: _values(inner, spec, names) for name, inner in schema.get("properties", {}).items()
    }
    required = {name: fields.pop(name) for name in schema.get("required", ()) if name in fields}
    return st.fixed_dictionaries(required, optional=fields)


def _queries(operation: Json) -> dict[str, Json]:
    parameters = operation.get("parameters", ())
    return {each["name"]: each["schema"] for each in parameters if each["in"] == "query"}


def _body(operation: Json) -> Json | None:
    content = operation.get("requestBody", {}).get("content", {})
    found: Json | None = content.get("application/json", {}).get("schema")
    return found


def _tables() -> list[Table]:
    """Return the tables with tenants' rows, those first that others refer to."""
    metadata = load_tables()
    names = tenant_tables(metadata)
    return [table for table in metadata.sorted_tables if table.name in names]


def _prefix(table: Table) -> str:
    mappers = Base.registry.mappers
    return next(str(m.class_.id_prefix) for m in mappers if m.local_table is table)


def _project(name: str) -> Json:
    return {"name": name, "label": {"residency": ["FR"]}}


def _absent(token: str, letter: str) -> str:
    """Return what looks like `token` and names nothing."""
    prefix, found, _ = token.rpartition("_")
    if found and FRESH.fullmatch(token):
        return new_id(prefix)
    return token.replace(PROBED, f"absen{letter}")


def _replace(text: str, replacements: dict[str, str]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text
