"""Projects: named, labelled, found by id, by name, or without being named at all."""

import asyncio

import pytest
from sqlalchemy import select
from tests.iam.world import Json, World

from galerne.db.session import Scope
from galerne.events.models import LogEntry
from galerne.iam.projects.errors import ProjectNotFound, ProjectRequired
from galerne.iam.projects.service import ProjectService
from galerne.rest.subject import Subject


def label(*residency: str) -> Json:
    return {"label": {"residency": [*residency]}}


class TestCreate:
    async def test_a_label_is_spelt_by_countries(self, world: World) -> None:
        """Zones and small letters are read, and come back as sorted country codes."""
        tenant = await world.tenant("acme")
        made = await world.project(tenant.secret, "plain", ("fr", "DE"))
        assert made["label"]["residency"] == ["DE", "FR"]
        assert (
            len((await world.project(tenant.secret, "wide", ("EEA",)))["label"]["residency"]) == 30
        )

    async def test_a_name_is_unique_in_its_organization_only(self, world: World) -> None:
        """Two tenants may use one name; one tenant may not use it twice."""
        acme, other = await world.tenant("acme"), await world.tenant("other")
        await world.project(acme.secret, "research")
        await world.project(other.secret, "research")
        refused = await world.project(acme.secret, "research", expect=409)
        assert refused["code"] == "project_name_taken"

    @pytest.mark.parametrize(
        "residency", [["Frankreich"], ["ZZ"], [], ["FR", "anywhere"], ["FR", "F"]]
    )
    async def test_what_is_no_label_is_refused(self, world: World, residency: list[str]) -> None:
        """A label that cannot be read is named so; it never becomes a label that allows more."""
        tenant = await world.tenant("acme")
        body = {"name": "research", "label": {"residency": residency}}
        refused = await world.call(tenant.secret, "POST", "/projects", body, expect=422)
        assert refused["code"] == "label_invalid"
        assert refused["hint"]

    async def test_a_label_is_not_optional(self, world: World) -> None:
        """Where data may go is said, never assumed."""
        tenant = await world.tenant("acme")
        body = {"name": "research"}
        refused = await world.call(tenant.secret, "POST", "/projects", body, expect=422)
        assert refused["detail"].startswith("body.label")


class TestLabelChange:
    async def test_narrowing_is_open_to_admins(self, world: World) -> None:
        """An admin may narrow a label, and the log says from what to what."""
        tenant = await world.tenant("acme")
        admin = await world.key_of(tenant.secret, "admin")
        project = await world.project(tenant.secret, "research", ("FR", "DE"))
        path = f"/projects/{project['id']}"
        changed = await world.call(admin, "PATCH", path, label("FR"))
        assert changed["label"]["residency"] == ["FR"]
        entry = await _last(world, tenant.organization_id)
        assert entry.kind == "project.label_changed"
        assert entry.data["from"]["residency"] == ["DE", "FR"]
        assert entry.data["widens"] is False

    async def test_widening_takes_an_owner(self, world: World) -> None:
        """What the old label did not allow, an admin cannot allow; an owner can, on record."""
        tenant = await world.tenant("acme")
        admin = await world.key_of(tenant.secret, "admin")
        project = await world.project(tenant.secret, "research", ("FR",))
        path = f"/projects/{project['id']}"
        for wider in (label("FR", "DE"), label("DE"), label("anywhere")):
            refused = await world.call(admin, "PATCH", path, wider, expect=403)
            assert refused["code"] == "label_widening_forbidden"
        assert (await world.call(admin, "GET", path))["label"]["residency"] == ["FR"]
        await world.call(tenant.secret, "PATCH", path, label("anywhere"))
        assert (await _last(world, tenant.organization_id)).data["widens"] is True

    async def test_two_narrowings_at_once_do_not_widen(self, world: World) -> None:
        """Of two admins who narrow at once to different countries, at most one succeeds."""
        tenant = await world.tenant("acme")
        admin = await world.key_of(tenant.secret, "admin")
        project = await world.project(tenant.secret, "research", ("FR", "DE"))
        path = f"/projects/{project['id']}"
        answers = await asyncio.gather(
            world.send(admin, "PATCH", path, label("FR")),
            world.send(admin, "PATCH", path, label("DE")),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 403]

    async def test_the_same_label_is_no_change(self, world: World) -> None:
        """Sending what already holds writes nothing into the log."""
        tenant = await world.tenant("acme")
        project = await world.project(tenant.secret, "research", ("FR",))
        await world.call(tenant.secret, "PATCH", f"/projects/{project['id']}", label("FR"))
        assert (await _last(world, tenant.organization_id)).kind == "project.created"


class TestRename:
    async def test_a_new_name_resolves(self, world: World) -> None:
        """A renamed project is found by its new name; a taken name is refused and changes nothing."""
        tenant = await world.tenant("acme")
        project = await world.project(tenant.secret, "research")
        await world.project(tenant.secret, "product")
        path = f"/projects/{project['id']}"
        refused = await world.call(tenant.secret, "PATCH", path, {"name": "product"}, expect=409)
        assert refused["code"] == "project_name_taken"
        assert (await world.call(tenant.secret, "PATCH", path, {"name": "lab"}))["name"] == "lab"


class TestResolve:
    async def test_by_id_and_by_name(self, world: World) -> None:
        """An id and a name lead to the same project."""
        tenant = await world.tenant("acme")
        made = await world.project(tenant.secret, "research")
        for reference in (made["id"], "research", None):
            assert await _resolve(world, tenant.organization_id, reference) == made["id"]

    async def test_without_a_name_it_must_be_clear(self, world: World) -> None:
        """With no project, or with several, and none named, the caller is asked for one."""
        tenant = await world.tenant("acme")
        with pytest.raises(ProjectRequired, match="no project yet"):
            await _resolve(world, tenant.organization_id, None)
        first = await world.project(tenant.secret, "research")
        await world.project(tenant.secret, "product")
        with pytest.raises(ProjectRequired, match="several projects"):
            await _resolve(world, tenant.organization_id, None)
        found = await _resolve(world, tenant.organization_id, None, bound_to=first["id"])
        assert found == first["id"]

    async def test_a_bound_key_finds_only_its_own(self, world: World) -> None:
        """A key bound to one project sees no other of its organization, by id, name or list."""
        tenant = await world.tenant("acme")
        mine = await world.project(tenant.secret, "research")
        other = await world.project(tenant.secret, "product")
        key = await world.key(tenant.secret, project="research")
        assert key["project_id"] == mine["id"]
        listed = await world.call(key["secret"], "GET", "/projects")
        assert [row["id"] for row in listed["items"]] == [mine["id"]]
        await world.call(key["secret"], "GET", f"/projects/{other['id']}", expect=404)
        with pytest.raises(ProjectNotFound):
            await _resolve(world, tenant.organization_id, "product", bound_to=mine["id"])


async def _resolve(
    world: World, organization_id: str, reference: str | None, bound_to: str | None = None
) -> str:
    subject = Subject(organization_id, "key_test", frozenset(), project_id=bound_to)
    async with world.database.read(subject.scope) as session:
        return (await ProjectService(session, world.clock).resolve(subject, reference)).id


async def _last(world: World, organization_id: str) -> LogEntry:
    async with world.database.read(Scope(organization_id)) as session:
        return (await session.scalars(select(LogEntry).order_by(LogEntry.id.desc()))).first() or (
            LogEntry()
        )
