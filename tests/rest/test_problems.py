"""Errors: one shape for all of them, with a stable code and a hint."""

from pathlib import Path

import httpx2
import pytest
from sqlalchemy.exc import OperationalError
from tests.iam.world import World, iam_app

from galerne.db.session import Database
from galerne.iam.key_secrets import new_secret
from galerne.kit.clock import ManualClock

KEYS = {"type", "title", "status", "detail", "code"}


def assert_problem(response: httpx2.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() >= KEYS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"urn:galerne:error:{code}"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/projects/prj_00000000000000000000000000", 404, "project_not_found"),
        ("GET", "/nowhere", 404, "no_such_route"),
        ("PUT", "/projects", 405, "method_not_allowed"),
        ("GET", "/projects?limit=0", 422, "invalid_request"),
        ("GET", "/projects?limit=501", 422, "invalid_request"),
        ("POST", "/projects", 422, "invalid_request"),
    ],
)
async def test_every_refusal_has_one_shape(
    world: World, method: str, path: str, status: int, code: str
) -> None:
    """Ours, the framework's and the validation's errors are all RFC 9457 problems."""
    tenant = await world.tenant("acme")
    assert_problem(await world.send(tenant.secret, method, path), status, code)


async def test_validation_names_each_field(world: World) -> None:
    """A malformed body is answered with every wrong field, where it stands and what was expected."""
    tenant = await world.tenant("acme")
    refused = await world.send(tenant.secret, "POST", "/projects", {"name": "No!", "size": 1})
    problem = refused.json()
    places = {error["at"] for error in problem["errors"]}
    assert places == {"body.name", "body.label", "body.size"}
    assert problem["hint"]


async def test_a_missing_scope_is_named(world: World) -> None:
    """A key that may not is told which scope it lacks and how to get one that has it."""
    tenant = await world.tenant("acme")
    viewer = await world.key_of(tenant.secret, "viewer")
    body = {"name": "research", "label": {"residency": ["FR"]}}
    refused = await world.send(viewer, "POST", "/projects", body)
    assert_problem(refused, 403, "scope_missing")
    assert "projects:write" in refused.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", f"Bearer {new_secret()}"],
    ids=["none", "empty", "scheme", "blank", "basic", "unknown"],
)
async def test_without_a_valid_key_nothing_opens(world: World, header: str | None) -> None:
    """No key, a wrong scheme and an unknown key are all refused with 401."""
    headers = {} if header is None else {"authorization": header}
    for path in ("/whoami", "/projects"):
        assert_problem(await world.client.get(path, headers=headers), 401, "unauthenticated")


async def test_a_refused_request_changes_nothing(world: World) -> None:
    """What a request did before it was refused is rolled back with it."""
    tenant = await world.tenant("acme")
    project = await world.project(tenant.secret, "research", ("FR", "DE"))
    await world.project(tenant.secret, "product")
    # Narrows the label first, and then fails on the name.
    change = {"label": {"residency": ["FR"]}, "name": "product"}
    path = f"/projects/{project['id']}"
    await world.call(tenant.secret, "PATCH", path, change, expect=409)
    shown = await world.call(tenant.secret, "GET", path)
    assert shown["label"]["residency"] == ["DE", "FR"]


async def test_pages_follow_each_other(world: World) -> None:
    """Following `next_cursor` shows every row once, newest first, and ends."""
    tenant = await world.tenant("acme")
    made = [(await world.project(tenant.secret, f"p{number}"))["id"] for number in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        path = f"/projects?limit=2{cursor and '&cursor=' + cursor}"
        page = await world.call(tenant.secret, "GET", path)
        assert len(page["items"]) <= 2
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]


class LockedDatabase(Database):
    """A database that answers no one in time."""

    def read(self, scope: object) -> object:  # type: ignore[override]
        del scope
        raise OperationalError("SELECT 1", {}, Exception("database is locked"))


async def test_a_database_that_does_not_answer_is_said(clock: ManualClock, tmp_path: Path) -> None:
    """A locked or lost database is a 503 that may be repeated, and tells nothing of its inside."""
    locked = LockedDatabase(f"sqlite+aiosqlite:///{tmp_path}/locked.db")
    transport = httpx2.ASGITransport(app=iam_app(locked, clock))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api/api/v1") as client:
        response = await client.get("/whoami", headers={"authorization": f"Bearer {new_secret()}"})
    assert_problem(response, 503, "database_unavailable")
    assert response.headers["retry-after"] == "1"
    assert "locked" not in response.text
    await locked.close()
