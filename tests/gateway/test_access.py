"""Who may use what: keys, scopes, models of other tenants, labels."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.gateway.harness import (
    SPARE_KEY,
    RunningGateway,
    key_policy,
    model_of,
    replica_of,
    running,
    snapshot_of,
)

from galerne.gateway.settings import GatewaySettings
from galerne.gateway.snapshot import KeyPolicy
from galerne.runtimes.fake.server import FakeServer

BODY = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        "gal_short",
        "sk-" + "a" * 40,
        "gal_" + "x" * 26,
        "gal_" + "é" * 26,
        "gal_" + "k" * 27,
    ],
)
async def test_a_wrong_key_is_refused(gateway: RunningGateway, key: str | None) -> None:
    """Without a key that is known, nothing is answered, in the shape that the SDKs read."""
    for path in ("/v1/models", "/v1/models/echo", "/v1/chat/completions"):
        answer = await gateway.ask(path, BODY if "chat" in path else None, key=key)

        assert answer.status == 401
        assert answer.code == "invalid_api_key"
        assert answer.json()["error"]["type"] == "authentication_error"
        assert answer.headers["www-authenticate"] == "Bearer"


async def ask_as(
    fake: FakeServer, settings: GatewaySettings, policy: KeyPolicy, **how: Any
) -> tuple[int, str]:
    async with running(snapshot_of(model_of(replica_of(fake)), policy=policy), settings) as gateway:
        answer = await gateway.chat(**how)
    return answer.status, "" if answer.status == 200 else answer.code


async def test_an_expired_key_is_refused(fake: FakeServer, settings: GatewaySettings) -> None:
    """Expiry is judged at each request, not when the snapshot is made."""
    past = datetime.now(UTC) - timedelta(seconds=1)  # noqa: TID251 - the gateway runs on the real clock

    assert await ask_as(fake, settings, key_policy(expires_at=past)) == (401, "invalid_api_key")


async def test_a_key_that_has_not_expired_serves(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """A future expiry does not matter yet."""
    future = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - the gateway runs on the real clock

    assert await ask_as(fake, settings, key_policy(expires_at=future)) == (200, "")


async def test_a_key_without_the_scope_is_refused(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """A key for the control plane does not spend tokens."""
    policy = key_policy(scopes=frozenset({"control"}))

    assert await ask_as(fake, settings, policy) == (403, "missing_scope")


async def test_the_allow_list_hides_other_models(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """A model that is not on the key's list does not exist for it."""
    assert await ask_as(fake, settings, key_policy(models=frozenset({"other"}))) == (
        404,
        "model_not_found",
    )
    assert await ask_as(fake, settings, key_policy(models=frozenset({"echo"}))) == (200, "")


async def test_the_label_bounds_where_a_prompt_goes(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """With no replica inside the label the request is refused, and nothing is sent."""
    policy = key_policy(countries=frozenset({"DE"}))

    assert await ask_as(fake, settings, policy) == (403, "residency_not_allowed")
    assert fake.totals.connections == 0
    assert await ask_as(fake, settings, key_policy(countries=frozenset({"FR"}))) == (200, "")


async def test_a_replica_outside_the_label_is_never_used(
    fake: FakeServer, settings: GatewaySettings
) -> None:
    """Also when it is the least busy, requests stay with the replicas inside."""
    async with FakeServer() as abroad:
        replicas = (replica_of(abroad, 1, country="US"), replica_of(fake, 2))
        policy = key_policy(countries=frozenset({"FR"}))
        async with running(snapshot_of(model_of(*replicas), policy=policy), settings) as gateway:
            answers = [await gateway.chat() for _ in range(4)]

        assert [answer.status for answer in answers] == [200] * 4
        assert abroad.totals.connections == 0


@pytest.fixture
async def two_tenants(fake: FakeServer, settings: GatewaySettings) -> AsyncIterator[RunningGateway]:
    """Two projects, a model of each, and a public one."""
    replica = replica_of(fake)
    mine = model_of(replica, aliases=("echo-latest",))
    theirs = model_of(replica, name="secret", project_id="prj_2", organization_id="org_2")
    public = model_of(replica, name="common", project_id="prj_0", organization_id="org_0")
    snapshot = snapshot_of(
        mine,
        theirs,
        public=[public],
        spare=KeyPolicy("key_2", organization_id="org_2", project_id="prj_2"),
    )
    async with running(snapshot, settings) as gateway:
        yield gateway


async def test_each_tenant_sees_its_own_and_public_models(two_tenants: RunningGateway) -> None:
    """Nothing in the list tells of another tenant."""
    mine = await two_tenants.ask("/v1/models")
    theirs = await two_tenants.ask("/v1/models", key=SPARE_KEY)

    assert [card["id"] for card in mine.json()["data"]] == ["common", "echo"]
    assert [card["id"] for card in theirs.json()["data"]] == ["common", "secret"]


async def test_another_tenants_model_looks_like_none_at_all(two_tenants: RunningGateway) -> None:
    """The answer for a hidden model is the answer for one that does not exist, byte for byte."""
    for path in ("/v1/models/{}", "/v1/chat/completions"):
        answers = []
        for name in ("secret", "absent"):
            body = {**BODY, "model": name} if "chat" in path else None
            answer = await two_tenants.ask(path.format(name), body)
            answers.append((answer.status, answer.body.replace(name.encode(), b"")))

        assert answers[0] == answers[1]
        assert answers[0][0] == 404


async def test_aliases_name_the_same_model(two_tenants: RunningGateway) -> None:
    """A request by alias is answered, and the answer shows the model's own name."""
    card = await two_tenants.ask("/v1/models/echo-latest")
    answer = await two_tenants.ask("/v1/chat/completions", {**BODY, "model": "echo-latest"})

    assert card.json()["id"] == "echo"
    assert answer.json()["model"] == "echo"


async def test_revocation_takes_effect_with_the_snapshot(
    gateway: RunningGateway, fake: FakeServer
) -> None:
    """A key that is gone from the next snapshot is refused as soon as that is loaded."""
    assert (await gateway.chat()).status == 200

    snapshot = snapshot_of(model_of(replica_of(fake)), version="2")
    gateway.source.snapshot = replace(snapshot, keys={})
    await gateway.app.parts.snapshots.refresh()

    assert (await gateway.chat()).code == "invalid_api_key"
