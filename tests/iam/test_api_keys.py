"""API keys: shown once, stored as digests, never stronger than their maker, gone when revoked."""

from datetime import timedelta

import pytest
from sqlalchemy import event, inspect, select, text
from tests.iam.world import PEPPER, Json, World, key_service

from galerne.db.session import Database, Scope
from galerne.events.models import LogEntry
from galerne.iam.api_keys.models import ApiKey
from galerne.iam.authenticate import KeyAuthenticator
from galerne.iam.key_secrets import digest_of, is_secret, new_secret
from galerne.kit.clock import ManualClock
from galerne.rest.errors import Unauthenticated
from galerne.rest.idempotency import IdempotentRequest


class TestSecrets:
    def test_look(self) -> None:
        """A secret is `gal_` and 43 characters that need no escaping anywhere."""
        secret = new_secret()
        assert is_secret(secret)
        assert len(secret) == 47
        assert not is_secret(secret + "\n")
        assert not is_secret("gal_short")

    def test_the_pepper_decides_the_digest(self) -> None:
        """Whoever has the table and not the pepper cannot test a guess."""
        assert digest_of(PEPPER, "gal_x") != digest_of(
            b"another pepper of 32 bytes or so!", "gal_x"
        )

    async def test_are_nowhere_in_the_database(self, world: World) -> None:
        """No table holds a secret, not even the stored answer of an idempotent request."""
        tenant = await world.tenant("acme")
        made = await world.send(
            tenant.secret, "POST", "/api-keys", {"name": "ci"}, idempotency_key="once"
        )
        secret = made.json()["secret"]
        assert is_secret(secret)
        for stored in await _everything(world.database):
            assert secret not in stored
            assert secret[8:] not in stored

    async def test_are_shown_once(self, world: World) -> None:
        """A repeated request gets the key again, without its secret; lists never have it."""
        tenant = await world.tenant("acme")
        sent = (tenant.secret, "POST", "/api-keys", {"name": "ci"})
        made = await world.send(*sent, idempotency_key="once")
        again = await world.send(*sent, idempotency_key="once")
        assert made.headers["cache-control"] == "no-store"
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json() == {**made.json(), "secret": None}
        listed = await world.call(tenant.secret, "GET", "/api-keys")
        assert {"secret", "digest"}.isdisjoint(listed["items"][0])
        assert listed["items"][0]["prefix"] == made.json()["secret"][:8]


class TestTerms:
    async def test_by_default_as_the_role_has_it(self, world: World) -> None:
        """Without scopes named, a key holds what its member's role and its maker both hold."""
        tenant = await world.tenant("acme")
        developer = await world.member(tenant.secret, "developer")
        key = await world.key(tenant.secret, member_id=developer["id"])
        assert "jobs:write" in key["scopes"]
        assert "members:write" not in key["scopes"]

    @pytest.mark.parametrize(
        ("terms", "status", "code"),
        [
            ({"scopes": ["jobs:fly"]}, 422, "scope_unknown"),
            ({"scopes": ["fleet:write"]}, 403, "scopes_exceeded"),
            ({"scopes": []}, 422, "invalid_request"),
            ({"expires_at": "2026-11-22T11:59:59Z"}, 422, "expiry_invalid"),
            ({"expires_at": "2026-12-24T00:00:00"}, 422, "invalid_request"),
            ({"project": "nowhere"}, 404, "project_not_found"),
            ({"member_id": "mem_00000000000000000000000000"}, 404, "member_not_found"),
            ({"project": "research", "scopes": ["keys:write"]}, 403, "scopes_exceeded"),
        ],
    )
    async def test_what_cannot_be_is_refused(
        self, world: World, terms: dict[str, object], status: int, code: str
    ) -> None:
        """Each impossible term has its own code, and no key comes of it."""
        tenant = await world.tenant("acme")
        await world.project(tenant.secret, "research")
        assert (await world.key(tenant.secret, expect=status, **terms))["code"] == code
        assert len((await world.call(tenant.secret, "GET", "/api-keys"))["items"]) == 1

    async def test_a_key_makes_none_stronger(self, world: World) -> None:
        """Scopes, models and expiry of a new key lie within those of the key that makes it."""
        tenant = await world.tenant("acme")
        maker = await world.key(
            tenant.secret,
            scopes=["keys:write", "inference"],
            models=["small"],
            expires_at="2026-12-01T00:00:00Z",
        )
        refusals: list[tuple[Json, int, str]] = [
            ({"scopes": ["jobs:read"]}, 403, "scopes_exceeded"),
            ({"models": ["small", "large"]}, 403, "models_exceeded"),
            ({"expires_at": "2026-12-02T00:00:00Z"}, 422, "expiry_invalid"),
        ]
        for terms, status, code in refusals:
            refused = await world.key(maker["secret"], expect=status, **terms)
            assert refused["code"] == code
        made = await world.key(maker["secret"])
        for term in ("scopes", "models", "expires_at"):
            assert made[term] == maker[term]


class TestAuthenticate:
    async def test_an_expired_key_opens_nothing(self, world: World, clock: ManualClock) -> None:
        """A key works until the instant of its expiry."""
        tenant = await world.tenant("acme")
        expiry = clock.now() + timedelta(seconds=60)
        key = await world.key(tenant.secret, expires_at=expiry.isoformat())
        clock.advance(59)
        await world.call(key["secret"], "GET", "/whoami")
        clock.advance(1)
        refused = await world.call(key["secret"], "GET", "/whoami", expect=401)
        assert refused["code"] == "unauthenticated"

    async def test_a_revoked_key_is_refused_at_once(self, world: World) -> None:
        """The request after the revocation is refused; revoking again changes nothing."""
        tenant = await world.tenant("acme")
        key = await world.key(tenant.secret)
        path = f"/api-keys/{key['id']}"
        for _ in range(2):
            await world.call(tenant.secret, "DELETE", path, expect=204)
        await world.call(key["secret"], "GET", "/whoami", expect=401)
        async with world.database.read(Scope(tenant.organization_id)) as session:
            kinds = (await session.scalars(select(LogEntry.kind))).all()
        assert kinds.count("api_key.revoked") == 1

    async def test_refusals_tell_nothing_apart(self, world: World) -> None:
        """Unknown, malformed and revoked secrets get the same answer."""
        tenant = await world.tenant("acme")
        key = await world.key(tenant.secret)
        await world.call(tenant.secret, "DELETE", f"/api-keys/{key['id']}", expect=204)
        answers = [
            await world.call(secret, "GET", "/whoami", expect=401)
            for secret in (key["secret"], new_secret(), "gal_x", "' OR 1=1 --")
        ]
        assert answers == [answers[0]] * 4

    async def test_takes_one_indexed_query(self, world: World) -> None:
        """A request's authentication is one look-up by the digest, and a malformed secret is none."""
        tenant = await world.tenant("acme")
        authenticator = KeyAuthenticator(world.database, PEPPER, world.clock)
        seen: list[str] = []
        event.listen(
            world.database.engine.sync_engine,
            "before_cursor_execute",
            lambda *arguments: seen.append(arguments[2]),
        )
        await authenticator.authenticate(tenant.secret)
        assert len([statement for statement in seen if "FROM api_keys" in statement]) == 1
        seen.clear()
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate("gal_malformed")
        assert not seen
        assert any(index["column_names"] == ["digest"] for index in await _uniques(world.database))


class TestGatewayKeys:
    async def test_hold_what_may_be_used_now(self, world: World, clock: ManualClock) -> None:
        """The gateway gets usable keys of every tenant with the scopes their members still hold."""
        acme, other = await world.tenant("acme"), await world.tenant("other")
        await world.project(acme.secret, "research")
        bound = await world.key(acme.secret, project="research", models=["small"])
        revoked = await world.key(acme.secret)
        await world.call(acme.secret, "DELETE", f"/api-keys/{revoked['id']}", expect=204)
        short = await world.key(acme.secret, expires_at="2026-11-22T12:01:00Z")
        clock.advance(60)
        async with world.database.read(Scope.system()) as session:
            keys = {key.key_id: key for key in await key_service(session, clock).gateway_keys()}
        assert {bound["id"], acme.key_id, other.key_id} <= {*keys}
        assert {revoked["id"], short["id"]}.isdisjoint(keys)
        found = keys[bound["id"]]
        assert found.digest == digest_of(PEPPER, bound["secret"])
        assert (found.project_id, found.models) == (bound["project_id"], frozenset({"small"}))
        assert "inference" in found.scopes


async def _uniques(database: Database) -> list[dict[str, list[str]]]:
    async with database.read(Scope.system()) as session:
        connection = await session.connection()
        return await connection.run_sync(
            lambda sync: [
                {"column_names": [*constraint["column_names"]]}
                for constraint in inspect(sync).get_unique_constraints("api_keys")
            ]
        )


async def _everything(database: Database) -> list[str]:
    """Return every row of the tables that could hold a secret, as text."""
    async with database.read(Scope.system()) as session:
        rows: list[str] = []
        for table in (ApiKey, IdempotentRequest, LogEntry):
            found = await session.execute(text(f"SELECT * FROM {table.__tablename__}"))  # noqa: S608 - our own names
            rows += [str(row) for row in found]
    return rows
