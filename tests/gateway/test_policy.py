"""The gateway's policy as it comes from the control plane's tables."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.scenarios.cloud import Cloud, cloud

from galerne.billing.prices.service import PriceService
from galerne.catalog.sites.service import SiteService
from galerne.db.session import Scope
from galerne.gateway.policy import ControlPlanePolicy
from galerne.gateway.snapshot import KeyPolicy, Snapshot, key_digest
from galerne.inference.deployments.models import Deployment, Replica
from galerne.inference.deployments.states import DeploymentState, ReplicaState
from galerne.kit.clock import ManualClock
from galerne.kit.ids import new_id

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MODEL = "smollm2-135m-instruct"


@pytest.fixture
async def world(database_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Cloud]:
    async with cloud(database_url, tmp_path, clock) as made:
        yield made


async def load(world: Cloud, known: str | None = None) -> Snapshot | None:
    platform = world.platform
    policy = ControlPlanePolicy(
        platform.database, platform.runtimes, platform.pepper, platform.clock
    )
    return await policy.load(known)


def policy_of(snapshot: Snapshot, secret: str) -> KeyPolicy:
    return snapshot.keys[key_digest(snapshot.key_pepper, secret.encode())]


async def project(world: Cloud, key: str, name: str) -> tuple[str, str]:
    async with world.client(key) as client:
        found = (await client.get("/projects")).json()["items"]
    made = next(each for each in found if each["name"] == name)
    return made["organization_id"], made["id"]


async def serve(world: Cloud, key: str, *, name: str, in_project: str = "main") -> None:
    """Put a deployment with one ready replica on record, as its reconcilers would."""
    organization_id, project_id = await project(world, key, in_project)
    owned = {"organization_id": organization_id, "project_id": project_id, "created_at": NOON}
    deployment = Deployment(
        id=new_id("dep"),
        **owned,
        name=name,
        spec={"type": "deployment", "name": name, "model": MODEL},
        model={"name": MODEL, "path": "/weights"},
        runtime="llamacpp",
        label={},
        submitted_by="key",
        state=DeploymentState.RUNNING,
    )
    async with world.platform.database.write(Scope.system()) as session:
        site = await SiteService(session, world.clock).by_name("brest")
        session.add(deployment)
        session.add(
            Replica(
                id=new_id("rep"),
                **owned,
                deployment_id=deployment.id,
                lease_id="lse",
                state=ReplicaState.READY,
                site_id=site.id,
                base_url="http://127.0.0.1:1",
            )
        )


async def test_a_ready_replica_is_routed_to_and_priced_as_it_is_billed(world: Cloud) -> None:
    """A project's key finds its deployment by name, with address, country and the model's own price."""
    key = await world.tenant()
    await serve(world, key, name="chat")

    snapshot = await load(world)

    assert snapshot is not None
    served = snapshot.find(policy_of(snapshot, key), "chat")
    assert served is not None
    assert [(each.base_url, each.country) for each in served.replicas] == [
        ("http://127.0.0.1:1", "FR")
    ]
    async with world.platform.database.read(Scope.system()) as session:
        book = await PriceService(session, world.clock).book(NOON)
    prices = book.token_prices(served.model)
    assert served.model == MODEL
    assert served.price.input_nano_per_million == prices.input_nano_per_million
    assert served.price.output_nano_per_million == prices.output_nano_per_million


async def test_another_tenant_finds_nothing(world: Cloud) -> None:
    """The same name with another organization's key is no model at all."""
    key, other = await world.tenant(), await world.tenant("Autre")
    await serve(world, key, name="chat")

    snapshot = await load(world)

    assert snapshot is not None
    assert snapshot.find(policy_of(snapshot, other), "chat") is None
    assert snapshot.visible(policy_of(snapshot, other)) == []


async def test_an_unchanged_policy_is_not_loaded_twice(world: Cloud) -> None:
    """A snapshot is replaced when something changed, and only then."""
    key = await world.tenant()
    first = await load(world)
    assert first is not None

    assert await load(world, first.version) is None
    await serve(world, key, name="chat")
    assert await load(world, first.version) is not None


async def test_an_organizations_key_names_what_means_one_thing(world: Cloud) -> None:
    """A key of no project finds deployments of all its organization's, unless two have one name."""
    key = await world.tenant()
    async with world.client(key) as client:
        await client.post("/projects", json={"name": "two", "label": {"residency": ["FR"]}})
    await serve(world, key, name="chat")
    await serve(world, key, name="only", in_project="two")

    snapshot = await load(world)
    assert snapshot is not None
    policy = policy_of(snapshot, key)
    assert [served.name for served in snapshot.visible(policy)] == ["chat", "only"]

    await serve(world, key, name="chat", in_project="two")
    snapshot = await load(world)

    assert snapshot is not None
    assert [served.name for served in snapshot.visible(policy)] == ["only"]


async def test_a_revoked_key_is_gone(world: Cloud) -> None:
    """What was revoked is not in the next snapshot."""
    key = await world.tenant()
    async with world.client(key) as client:
        made = (await client.post("/api-keys", json={"name": "second"})).json()
        before = await load(world)
        await client.delete(f"/api-keys/{made['id']}")
    after = await load(world)

    assert before is not None
    assert after is not None
    digest = key_digest(before.key_pepper, made["secret"].encode())
    assert digest in before.keys
    assert digest not in after.keys
