"""`Idempotency-Key`: a POST that is sent again is answered again and done once."""

import asyncio

from sqlalchemy import func, select
from tests.iam.world import Json, Tenant, World

from galerne.db.session import Scope
from galerne.events.models import LogEntry
from galerne.iam.projects.models import Project


def body(name: str = "research") -> Json:
    return {"name": name, "label": {"residency": ["FR"]}}


async def projects(world: World, tenant: Tenant) -> int:
    async with world.database.read(Scope(tenant.organization_id)) as session:
        return await session.scalar(select(func.count()).select_from(Project)) or 0


async def test_a_repeated_request_is_answered_from_the_record(world: World) -> None:
    """The second answer is the first one, byte for byte, and says so; nothing is done again."""
    tenant = await world.tenant("acme")
    sent = (tenant.secret, "POST", "/projects", body())
    first = await world.send(*sent, idempotency_key="once")
    again = await world.send(*sent, idempotency_key="once")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert await projects(world, tenant) == 1
    async with world.database.read(Scope(tenant.organization_id)) as session:
        kinds = (await session.scalars(select(LogEntry.kind))).all()
    assert kinds.count("project.created") == 1


async def test_a_key_belongs_to_one_request(world: World) -> None:
    """The same key with another body or path is refused, and nothing is done."""
    tenant = await world.tenant("acme")
    secret = tenant.secret
    await world.send(secret, "POST", "/projects", body(), idempotency_key="once")
    other_body = await world.send(
        secret, "POST", "/projects", body("product"), idempotency_key="once"
    )
    other_path = await world.send(secret, "POST", "/members", body(), idempotency_key="once")
    for refused in (other_body, other_path):
        assert refused.status_code == 422
        assert refused.json()["code"] == "idempotency_key_reused"
    assert await projects(world, tenant) == 1


async def test_another_actor_does_not_get_the_answer(world: World) -> None:
    """A key of fewer rights cannot read, by guessing an Idempotency-Key, what another was answered."""
    tenant = await world.tenant("acme")
    viewer = await world.key_of(tenant.secret, "viewer")
    await world.send(tenant.secret, "POST", "/projects", body(), idempotency_key="once")
    refused = await world.send(viewer, "POST", "/projects", body(), idempotency_key="once")
    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency_key_reused"


async def test_tenants_do_not_share_keys(world: World) -> None:
    """Two tenants may use one Idempotency-Key; neither notices."""
    acme, other = await world.tenant("acme"), await world.tenant("other")
    for tenant in (acme, other):
        made = await world.send(tenant.secret, "POST", "/projects", body(), idempotency_key="once")
        assert made.status_code == 201
        assert "idempotent-replayed" not in made.headers
        assert made.json()["organization_id"] == tenant.organization_id


async def test_twins_at_the_same_moment_do_it_once(world: World) -> None:
    """Of requests that race under one key one is done; the others get its answer, or are told to wait."""
    tenant = await world.tenant("acme")
    sent = (tenant.secret, "POST", "/projects", body())
    answers = await asyncio.gather(*(world.send(*sent, idempotency_key="once") for _ in range(5)))
    for answer in answers:
        assert answer.status_code in {201, 409}, answer.text
        assert answer.status_code == 201 or answer.json()["code"] == "idempotency_key_in_use"
    assert 201 in {answer.status_code for answer in answers}
    assert await projects(world, tenant) == 1
    settled = await world.send(*sent, idempotency_key="once")
    assert settled.headers["idempotent-replayed"] == "true"


async def test_a_refused_request_may_be_mended(world: World) -> None:
    """An error is not remembered: the same key works once the request can be done."""
    tenant = await world.tenant("acme")
    await world.project(tenant.secret, "research")
    sent = (tenant.secret, "POST", "/projects", body())
    refused = await world.send(*sent, idempotency_key="once")
    assert refused.json()["code"] == "project_name_taken"
    listed = await world.call(tenant.secret, "GET", "/projects")
    path = f"/projects/{listed['items'][0]['id']}"
    await world.call(tenant.secret, "PATCH", path, {"name": "elsewhere"})
    assert (await world.send(*sent, idempotency_key="once")).status_code == 201


async def test_a_key_has_bounds(world: World) -> None:
    """An empty or endless key is refused by name."""
    tenant = await world.tenant("acme")
    for key in ("", "x" * 256):
        refused = await world.send(tenant.secret, "POST", "/projects", body(), idempotency_key=key)
        assert refused.status_code == 400
        assert refused.json()["code"] == "idempotency_key_invalid"
