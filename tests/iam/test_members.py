"""Members: roles that reach no higher than their giver, and an owner at all times."""

import asyncio

import pytest
from sqlalchemy import select
from tests.iam.world import World

from galerne.db.session import Scope
from galerne.events.models import LogEntry
from galerne.iam.roles import (
    ALL_SCOPES,
    OPERATOR_SCOPES,
    PROJECT_KEY_SCOPES,
    READ_SCOPES,
    Role,
    role_scopes,
)


class TestRoles:
    def test_an_owner_holds_all_of_the_tenants(self) -> None:
        """An owner lacks only what runs the platform; the operator's owner lacks nothing."""
        assert role_scopes(Role.OWNER, is_operator=False) == ALL_SCOPES - OPERATOR_SCOPES
        assert role_scopes(Role.OWNER, is_operator=True) == ALL_SCOPES

    @pytest.mark.parametrize("role", Role)
    def test_only_owners_and_admins_run_the_platform(self, role: Role) -> None:
        """A viewer of the operator's organization changes no fleet and no price."""
        runs = bool(role_scopes(role, is_operator=True) & OPERATOR_SCOPES)
        assert runs == (role in {Role.OWNER, Role.ADMIN})

    def test_each_role_lies_within_the_next(self) -> None:
        """Viewer and billing ⊂ developer ⊂ admin ⊂ owner."""
        scopes = {role: role_scopes(role, is_operator=False) for role in Role}
        assert scopes[Role.VIEWER] == READ_SCOPES
        assert scopes[Role.BILLING] < scopes[Role.DEVELOPER]
        assert scopes[Role.VIEWER] < scopes[Role.DEVELOPER] < scopes[Role.ADMIN]
        assert scopes[Role.ADMIN] < scopes[Role.OWNER]

    def test_a_project_key_administers_nothing(self) -> None:
        """What a bound key may write is work, never people, keys, projects or the organization."""
        writes = {scope for scope in PROJECT_KEY_SCOPES if scope.endswith(":write")}
        assert writes == {"jobs:write", "deployments:write", "registry:write"}


class TestReach:
    async def test_an_admin_makes_no_owner(self, world: World) -> None:
        """A role above the caller's own can be neither given nor taken away."""
        tenant = await world.tenant("acme")
        admin = await world.key_of(tenant.secret, "admin")
        refused = await world.member(admin, "owner", expect=403)
        assert refused["code"] == "role_beyond_caller"
        owner = f"/members/{tenant.owner_id}"
        second = await world.member(tenant.secret, "owner")
        await world.call(admin, "PATCH", owner, {"role": "viewer"}, expect=403)
        await world.call(admin, "PATCH", owner, {"name": "Fool"}, expect=403)
        await world.call(admin, "DELETE", f"/members/{second['id']}", expect=403)
        await world.call(admin, "PATCH", f"/members/{second['id']}", {"role": "owner"})

    async def test_a_viewer_writes_nothing(self, world: World) -> None:
        """Reading members does not let one change them."""
        tenant = await world.tenant("acme")
        viewer = await world.key_of(tenant.secret, "viewer")
        assert (await world.call(viewer, "GET", "/members"))["items"]
        refused = await world.member(viewer, "viewer", expect=403)
        assert refused["code"] == "scope_missing"


class TestLastOwner:
    async def test_cannot_leave(self, world: World) -> None:
        """The last owner is neither removed nor demoted, not even by themselves."""
        tenant = await world.tenant("acme")
        path = f"/members/{tenant.owner_id}"
        refused = await world.call(tenant.secret, "DELETE", path, expect=409)
        assert refused["code"] == "last_owner"
        refused = await world.call(tenant.secret, "PATCH", path, {"role": "admin"}, expect=409)
        assert refused["code"] == "last_owner"

    async def test_two_do_not_leave_at_once(self, world: World) -> None:
        """Of two owners who are removed at the same moment, one stays."""
        tenant = await world.tenant("acme")
        second = await world.member(tenant.secret, "owner")
        key = await world.key(tenant.secret, member_id=second["id"])
        await asyncio.gather(
            world.send(tenant.secret, "DELETE", f"/members/{second['id']}"),
            world.send(key["secret"], "DELETE", f"/members/{tenant.owner_id}"),
        )
        async with world.database.read(Scope(tenant.organization_id)) as session:
            kinds = (await session.scalars(select(LogEntry.kind))).all()
        assert kinds.count("member.removed") == 1


class TestChange:
    async def test_a_smaller_role_counts_at_once(self, world: World) -> None:
        """A key made under a larger role holds no more than the member's present one."""
        tenant = await world.tenant("acme")
        member = await world.member(tenant.secret, "admin")
        key = await world.key(tenant.secret, member_id=member["id"])
        path = f"/members/{member['id']}"
        await world.call(tenant.secret, "PATCH", path, {"role": "viewer", "name": "Mo"})
        who = await world.call(key["secret"], "GET", "/whoami")
        assert frozenset(who["scopes"]) == READ_SCOPES
        assert (who["member"]["name"], who["member"]["role"]) == ("Mo", "viewer")

    async def test_a_removed_member_is_gone_with_all_keys(self, world: World) -> None:
        """Removing deletes the person's data and keys; the log keeps ids and roles, no names."""
        tenant = await world.tenant("acme")
        member = await world.member(tenant.secret, "developer")
        key = await world.key(tenant.secret, member_id=member["id"])
        await world.call(tenant.secret, "DELETE", f"/members/{member['id']}", expect=204)
        await world.call(key["secret"], "GET", "/whoami", expect=401)
        await world.call(tenant.secret, "GET", f"/api-keys/{key['id']}", expect=404)
        async with world.database.read(Scope(tenant.organization_id)) as session:
            entries = (await session.scalars(select(LogEntry))).all()
        assert "Mia" not in str([entry.data for entry in entries])

    async def test_an_address_is_used_once(self, world: World) -> None:
        """Two members of an organization never share an address, however it is spelt."""
        tenant = await world.tenant("acme")
        body = {"email": "OWNER@acme.example ", "name": "Twin", "role": "viewer"}
        refused = await world.call(tenant.secret, "POST", "/members", body, expect=409)
        assert refused["code"] == "member_email_taken"
