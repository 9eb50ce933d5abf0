"""Organizations: created by the operator, each seen by itself alone."""

import pytest
from sqlalchemy import func, select
from tests.iam.world import PEPPER, World

from galerne.db.session import Scope
from galerne.events.models import LogEntry
from galerne.iam.bootstrap import ensure_operator
from galerne.iam.organizations.models import Organization

OWNER = {"email": "ola@example.org", "name": "Ola"}


class TestCreate:
    async def test_the_first_key_opens_the_new_organization(self, world: World) -> None:
        """The operator gets an organization with an owner and a key that acts for it."""
        tenant = await world.tenant("acme")
        who = await world.call(tenant.secret, "GET", "/whoami")
        assert who["organization"]["id"] == tenant.organization_id
        assert who["organization"]["country"] == "FR"
        assert who["member"]["role"] == "owner"
        assert who["api_key"]["id"] == tenant.key_id
        assert "organizations:write" in who["scopes"]
        assert "fleet:write" not in who["scopes"]

    async def test_only_the_operator_may(self, world: World) -> None:
        """An owner of a customer creates no organization, and none comes to be."""
        tenant = await world.tenant("acme")
        body = {"legal_name": "Other", "country": "FR", "owner": OWNER}
        refused = await world.call(tenant.secret, "POST", "/organizations", body, expect=403)
        assert refused["code"] == "operator_required"
        assert await _count(world) == 2

    async def test_it_is_on_the_customers_record(self, world: World) -> None:
        """What was done is in the log of the new organization, by the operator's key."""
        tenant = await world.tenant("acme")
        operator = await world.call(world.operator, "GET", "/whoami")
        async with world.database.read(Scope(tenant.organization_id)) as session:
            entries = (await session.scalars(select(LogEntry).order_by(LogEntry.id))).all()
        kinds = ["organization.created", "member.created", "api_key.created"]
        assert [entry.kind for entry in entries] == kinds
        assert {entry.actor for entry in entries} == {operator["api_key"]["id"]}

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"country": "ZZ"}, "country_unknown"),
            ({"country": "France"}, "country_unknown"),
            ({"vat_id": "no number"}, "vat_id_invalid"),
            ({"vat_id": "40303265045"}, "vat_id_invalid"),
            ({"legal_name": "  "}, "invalid_request"),
            ({"legal_name": "x" * 201}, "invalid_request"),
            ({"owner": {"email": "nobody", "name": "N"}}, "invalid_request"),
            ({"colour": "blue"}, "invalid_request"),
        ],
    )
    async def test_bad_input_is_named(
        self, world: World, change: dict[str, object], code: str
    ) -> None:
        """Each bad field is refused with its own code, a hint, and nothing made."""
        body = {"legal_name": "Acme", "country": "FR", "owner": OWNER, **change}
        refused = await world.call(world.operator, "POST", "/organizations", body, expect=422)
        assert refused["code"] == code
        assert refused["hint"]
        assert await _count(world) == 1

    async def test_a_vat_id_is_kept_compact(self, world: World) -> None:
        """Spaces, dots and case of a VAT id do not matter."""
        body = {"legal_name": "Acme", "country": "fr", "vat_id": "fr 40.303 265-045"}
        made = await world.call(
            world.operator, "POST", "/organizations", {**body, "owner": OWNER}, expect=201
        )
        assert (made["country"], made["vat_id"]) == ("FR", "FR40303265045")


class TestSight:
    async def test_a_customer_sees_itself(self, world: World) -> None:
        """A list holds the own organization; another's id is as unknown as an invented one."""
        acme, other = await world.tenant("acme"), await world.tenant("other")
        listed = await world.call(acme.secret, "GET", "/organizations")
        assert [row["id"] for row in listed["items"]] == [acme.organization_id]
        for unseen in (other.organization_id, "org_00000000000000000000000000"):
            path = f"/organizations/{unseen}"
            refused = await world.call(acme.secret, "GET", path, expect=404)
            assert refused["code"] == "organization_not_found"

    async def test_the_operator_sees_every_one(self, world: World) -> None:
        """The operator lists and opens customers' organizations, yet nothing inside them."""
        acme = await world.tenant("acme")
        await world.project(acme.secret, "secret-plan")
        listed = await world.call(world.operator, "GET", "/organizations")
        assert acme.organization_id in {row["id"] for row in listed["items"]}
        path = f"/organizations/{acme.organization_id}"
        assert (await world.call(world.operator, "GET", path))["legal_name"] == "acme"
        assert (await world.call(world.operator, "GET", "/projects"))["items"] == []
        members = await world.call(world.operator, "GET", "/members")
        assert acme.owner_id not in {row["id"] for row in members["items"]}


class TestOperator:
    async def test_there_is_one(self, world: World) -> None:
        """Making sure of the operator a second time makes nothing and shows no secret."""
        async with world.database.write(Scope.system()) as session:
            again = await ensure_operator(session, clock=world.clock, pepper=PEPPER)
        assert again is None
        assert await _count(world) == 1

    async def test_runs_the_platform(self, world: World) -> None:
        """The operator's owner holds the scopes that run the platform."""
        who = await world.call(world.operator, "GET", "/whoami")
        assert who["organization"]["is_operator"] is True
        assert {"fleet:write", "prices:write"} <= {*who["scopes"]}


async def _count(world: World) -> int:
    async with world.database.read(Scope.system()) as session:
        return await session.scalar(select(func.count()).select_from(Organization)) or 0
