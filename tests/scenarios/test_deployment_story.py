"""Stories of deployments: replicas on the fake engine, probed through a runtime that the test directs."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.scenarios.cloud import CLAIM_SECONDS, Cloud, Killed

from galerne.compute.leases.models import CapacityLease
from galerne.db.session import Scope
from galerne.entrypoints.api import build_app
from galerne.entrypoints.wiring import api_context
from galerne.inference.deployments.models import Replica
from galerne.inference.deployments.reconciler import RESTARTS_MAX
from galerne.inference.deployments.replicas import DRAIN_SECONDS_MIN, UNREADY_SECONDS_MAX
from galerne.inference.deployments.routes import routes
from galerne.registry.models.models import ModelFormat
from galerne.registry.models.service import ModelService, PublicModelEntry
from galerne.runtimes.base import Counters
from galerne.runtimes.fake.runtime import FakeRuntime
from galerne.runtimes.fake.server import FakeServer
from galerne.worker.claims import backoff_seconds

Json = dict[str, Any]
NOTHING_READY = "*"


class DirectedRuntime(FakeRuntime):
    """Answers probes as the test says: everything is ready and idle, but for what is named."""

    def __init__(self) -> None:
        super().__init__()
        self.unready: set[str] = set()  # Base URLs, or NOTHING_READY.
        self.busy: dict[str, int] = {}  # Requests in flight by base URL.

    async def ready(self, base_url: str) -> bool:
        return not self.unready & {base_url, NOTHING_READY}

    async def counters(self, base_url: str) -> Counters | None:
        return Counters(0, 0, self.busy.get(base_url, 0), 0)


class SafetensorsRuntime(DirectedRuntime):
    """Reads another kind of weights."""

    name = "directed"
    formats = frozenset({"safetensors"})


@pytest.fixture
async def runtime(world: Cloud, tmp_path: Path) -> DirectedRuntime:
    """Put the directed runtime into the platform, and a public model that it serves."""
    directed = DirectedRuntime()
    await furnish(world, {"fake": directed, "directed": SafetensorsRuntime()}, tmp_path)
    return directed


async def furnish(world: Cloud, runtimes: Mapping[str, FakeRuntime], folder: Path) -> None:
    world.platform = replace(world.platform, runtimes=runtimes)
    world.app = build_app(api_context(world.platform))
    entry = PublicModelEntry(
        name="tiny",
        format=ModelFormat.GGUF,
        path=folder / "tiny.gguf",
        licence="Apache-2.0",
        source={"package": "tiny", "version": "1"},
        sha256="0" * 64,
        size_bytes=1,
        context_tokens=2048,
    )
    async with world.platform.database.write(Scope.system()) as session:
        await ModelService(session, world.clock, world.platform.trees).ensure_public(entry)


def deployment(name: str = "chat", /, **changes: Any) -> Json:
    spec: Json = {
        "type": "deployment",
        "name": name,
        "model": "tiny",
        "runtime": "fake",
        "resources": {"cpu": 2, "memory": "1GB", "disk": "1GB"},
        "env": {"GALERNE_FAKE_RUN_SECONDS": "forever"},
        **changes,
    }
    return {"project": None, "spec": spec}


async def ask(world: Cloud, key: str, method: str, path: str, body: Json | None = None) -> Json:
    async with world.client(key) as client:
        answer = await client.request(method, f"/deployments{path}", json=body)
        assert answer.status_code in {200, 202}, answer.text
        return dict(answer.json())


async def refused(world: Cloud, key: str, body: Json, status: int) -> Json:
    async with world.client(key) as client:
        answer = await client.post("/deployments", json=body)
        assert answer.status_code == status, answer.text
        assert (await client.get("/deployments")).json()["items"] == []
        return dict(answer.json())


async def serve(world: Cloud, key: str, **changes: Any) -> Json:
    """Start a deployment and see it run."""
    made = await ask(world, key, "POST", "", deployment(**changes))
    await world.work()
    await world.advance(1)
    seen = await ask(world, key, "GET", f"/{made['id']}")
    assert seen["state"] == "running", seen
    return seen


async def routed(world: Cloud) -> list[str]:
    """Return the replicas that the gateway sends requests to."""
    async with world.platform.database.read(Scope.system()) as session:
        found = await routes(session, world.platform.runtimes)
    return sorted(replica.id for route in found for replica in route.replicas)


async def replicas(world: Cloud, deployment_id: str) -> list[Replica]:
    async with world.platform.database.read(Scope.system()) as session:
        statement = select(Replica).where(Replica.deployment_id == deployment_id)
        return list(await session.scalars(statement.order_by(Replica.id)))


async def test_a_deployment_serves_when_its_probe_answers(
    world: Cloud, runtime: DirectedRuntime
) -> None:
    """Until the probe answers it is starting and gets no requests; then it runs and is routed to."""
    key = await world.tenant()
    runtime.unready.add(NOTHING_READY)
    made = await ask(world, key, "POST", "", deployment())
    assert made["state"] == "starting"
    await world.work()
    await world.advance(1)
    waiting = await ask(world, key, "GET", f"/{made['id']}")
    why = await ask(world, key, "GET", f"/{made['id']}/why")
    assert waiting["state"] == "starting"
    assert [replica["state"] for replica in waiting["replicas"]] == ["starting"]
    assert why["reason"]["code"] == "starting"
    assert await routed(world) == []

    runtime.unready.clear()
    await world.advance(1)
    await world.advance(1)

    served = await ask(world, key, "GET", f"/{made['id']}")
    assert (served["state"], served["replicas_ready"]) == ("running", 1)
    assert served["replicas"][0]["node_names"][0].startswith("brest-")
    assert await routed(world) == [served["replicas"][0]["id"]]


async def test_a_real_server_is_probed_and_drained(world: Cloud, tmp_path: Path) -> None:
    """With the fake runtime's own server behind it, probe and counters are those of the wire."""
    await furnish(world, {"fake": FakeRuntime()}, tmp_path)
    key = await world.tenant()
    made = await ask(world, key, "POST", "", deployment())
    await world.work()
    (replica,) = await replicas(world, made["id"])
    assert replica.port is not None
    await world.advance(1)
    assert await routed(world) == []
    async with FakeServer(port=replica.port) as server:
        await world.advance(1)
        assert await routed(world) == [replica.id]
        server.totals.running = 1
        await ask(world, key, "POST", f"/{made['id']}/stop")
        await world.work()
        await world.advance(DRAIN_SECONDS_MIN + 1)
        assert [each.state.value for each in await replicas(world, made["id"])] == ["draining"]
        server.totals.running = 0
        await world.advance(1)
        await world.advance(1)
    assert (await ask(world, key, "GET", f"/{made['id']}"))["state"] == "stopped"


@pytest.mark.usefixtures("runtime")
async def test_several_replicas_have_names_nodes_and_ports_of_their_own(world: Cloud) -> None:
    """Three replicas are three launches, each with its own port, and all are routed to."""
    key = await world.tenant()
    seen = await serve(world, key, replicas=3)

    rows = await replicas(world, seen["id"])

    assert seen["replicas_ready"] == 3
    assert len({row.port for row in rows}) == 3
    assert await routed(world) == [row.id for row in rows]


@pytest.mark.usefixtures("runtime")
async def test_a_replica_that_dies_is_replaced(world: Cloud) -> None:
    """When a node dies its replica ends with the reason, and another one serves elsewhere."""
    key = await world.tenant()
    seen = await serve(world, key)
    first = seen["replicas"][0]
    await world.lose(first["node_names"][0])
    for _ in range(4):
        await world.advance(1)

    again = await ask(world, key, "GET", f"/{seen['id']}")

    assert again["state"] == "running"
    newest, oldest = again["replicas"]
    assert (oldest["state"], oldest["reason"]["code"]) == ("ended", "interrupted")
    assert newest["state"] == "ready"
    assert newest["node_names"] != oldest["node_names"]
    assert await routed(world) == [newest["id"]]


async def test_a_replica_that_hangs_is_replaced(world: Cloud, runtime: DirectedRuntime) -> None:
    """A process that runs and does not answer its probe for long is stopped, and another takes over."""
    key = await world.tenant()
    seen = await serve(world, key)
    (hung,) = await replicas(world, seen["id"])
    runtime.unready.add(hung.base_url or "")
    await world.advance(3)
    assert await routed(world) == [hung.id]  # One missed probe is no reason.
    await world.advance(UNREADY_SECONDS_MAX + 1)
    for _ in range(5):
        await world.advance(1)

    before, after = await replicas(world, seen["id"])

    assert (before.state.value, after.state.value) == ("ended", "ready")
    assert await routed(world) == [after.id]


@pytest.mark.usefixtures("runtime")
async def test_a_deployment_gives_up_after_growing_pauses(world: Cloud) -> None:
    """Replicas that never get ready are tried with doubled pauses, then it fails and says why."""
    key = await world.tenant()
    broken = {"GALERNE_FAKE_RUN_SECONDS": "0", "GALERNE_FAKE_EXIT_CODE": "3"}
    made = await ask(world, key, "POST", "", deployment(env=broken))
    for tried in range(1, RESTARTS_MAX):
        for _ in range(12):
            if len(await replicas(world, made["id"])) > tried:
                break
            await world.advance(max(1, backoff_seconds(tried) / 4))
    for _ in range(3):
        await world.advance(1)

    rows = await replicas(world, made["id"])
    for tried, (before, after) in enumerate(itertools.pairwise(rows), start=1):
        assert before.ended_at is not None
        pause = (after.created_at - before.ended_at).total_seconds()
        assert backoff_seconds(tried) <= pause <= 2 * backoff_seconds(tried) + 2
    failed = await ask(world, key, "GET", f"/{made['id']}")
    why = await ask(world, key, "GET", f"/{made['id']}/why")

    assert failed["state"] == "failed"
    assert why["reason"]["code"] == "restarts_exhausted"
    assert "simulated: failed" in why["reason"]["message"]
    assert len(failed["replicas"]) == RESTARTS_MAX
    async with world.platform.database.read(Scope.system()) as session:
        leases = (await session.scalars(select(CapacityLease.state))).all()
    assert {state.value for state in leases} == {"released"}
    await world.advance(600)
    assert len(await replicas(world, made["id"])) == RESTARTS_MAX


async def test_a_stop_drains_first(world: Cloud, runtime: DirectedRuntime) -> None:
    """A stopped deployment gets no new request at once, ends the ones in flight, and then stops."""
    key = await world.tenant()
    seen = await serve(world, key, stop_duration="60s")
    (row,) = await replicas(world, seen["id"])
    runtime.busy[row.base_url or ""] = 1
    await ask(world, key, "POST", f"/{seen['id']}/stop")
    assert await routed(world) == []
    await world.work()
    await world.advance(30)
    draining = await ask(world, key, "GET", f"/{seen['id']}")
    assert (draining["state"], draining["replicas"][0]["state"]) == ("stopping", "draining")

    runtime.busy.clear()
    await world.advance(1)
    await world.advance(1)

    stopped = await ask(world, key, "GET", f"/{seen['id']}")
    assert (stopped["state"], stopped["replicas"][0]["state"]) == ("stopped", "ended")
    async with world.client(key) as client:
        late = await client.post(f"/deployments/{seen['id']}/stop")
    assert (late.status_code, late.json()["code"]) == (409, "deployment_ended")


async def test_a_drain_has_an_end(world: Cloud, runtime: DirectedRuntime) -> None:
    """A request that never ends holds a replica no longer than `stop_duration`."""
    key = await world.tenant()
    seen = await serve(world, key, stop_duration="10s")
    (row,) = await replicas(world, seen["id"])
    runtime.busy[row.base_url or ""] = 1
    await ask(world, key, "POST", f"/{seen['id']}/stop")
    await world.work()
    await world.advance(11)
    await world.advance(1)
    await world.advance(1)

    assert (await ask(world, key, "GET", f"/{seen['id']}"))["state"] == "stopped"


@pytest.mark.usefixtures("runtime")
async def test_a_deployment_that_waits_for_capacity_can_be_stopped(world: Cloud) -> None:
    """What does not fit says so; stopping it ends the replica that waits and gives up its place."""
    key = await world.tenant()
    whole = {"cpu": 8, "memory": "1GB", "disk": "1GB"}
    await serve(world, key, replicas=3, resources=whole)
    made = await ask(world, key, "POST", "", deployment("late", resources=whole))
    await world.work()
    await world.advance(1)
    why = await ask(world, key, "GET", f"/{made['id']}/why")
    assert why["facts"]["replicas"] == {"pending": 1}
    assert why["reason"]["hint"]

    await ask(world, key, "POST", f"/{made['id']}/stop")
    await world.work()
    await world.advance(1)

    ended = await ask(world, key, "GET", f"/{made['id']}")
    assert (ended["state"], ended["replicas"][0]["state"]) == ("stopped", "ended")
    assert ended["replicas"][0]["started_at"] is None


@pytest.mark.usefixtures("runtime")
async def test_a_name_is_taken_while_its_deployment_lives(world: Cloud) -> None:
    """A second live deployment of a name is refused; after the first has ended the name is free."""
    key = await world.tenant()
    seen = await serve(world, key)
    async with world.client(key) as client:
        taken = await client.post("/deployments", json=deployment())
    assert (taken.status_code, taken.json()["code"]) == (409, "deployment_name_taken")

    await ask(world, key, "POST", f"/{seen['id']}/stop")
    for _ in range(4):
        await world.advance(1)

    assert (await ask(world, key, "POST", "", deployment()))["state"] == "starting"


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"model": "no-such-model"}, 404, "model_not_found"),
        ({"runtime": "no-such-runtime"}, 422, "runtime_unsuitable"),
        ({"runtime": "directed"}, 422, "runtime_unsuitable"),
        ({"resources": {"cpu": 1, "memory": "1MB"}}, 422, "memory_too_small"),
        ({"resources": {"cpu": 512, "memory": "1GB"}}, 422, "impossible_resources"),
        ({"regions": ["zurich"]}, 403, "label_allows_no_site"),
        ({"replicas": 0}, 422, "invalid_request"),
        ({"modle": "tiny"}, 422, "invalid_request"),
        ({"context_tokens": "many"}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_served_is_refused_by_name(
    world: Cloud, changes: Json, status: int, code: str
) -> None:
    """Each impossible wish has its own code and a hint, and nothing is accepted."""
    key = await world.tenant()

    problem = await refused(world, key, deployment(**changes), status)

    assert problem["code"] == code
    assert problem["hint"]


async def live_and_stop(world: Cloud, key: str, name: str, kill_at: tuple[int, str]) -> bool:
    """Start and stop a deployment with a worker that dies at one step; say whether it did."""
    made = await ask(world, key, "POST", "", deployment(name))
    died = stop_asked = False
    world.steps = 0
    for _ in range(30):
        try:
            await world.work(kill_at=None if died else kill_at)
        except Killed:
            died = True
            world.clock.advance(CLAIM_SECONDS + 1)
            continue
        seen = await ask(world, key, "GET", f"/{made['id']}")
        if seen["state"] == "running" and not stop_asked:
            stop_asked = True
            await ask(world, key, "POST", f"/{made['id']}/stop")
        elif seen["state"] == "stopped":
            assert len(seen["replicas"]) == 1, seen
            return died
        else:
            world.clock.advance(DRAIN_SECONDS_MIN)
    raise AssertionError(f"{name} never ended")


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("where", ["claim", "act"])
async def test_a_worker_may_die_at_every_step(world: Cloud, where: str) -> None:
    """Kill the worker after each claim and each act in turn: one replica, started once, ended once."""
    key = await world.tenant()
    for step in itertools.count():
        died = await live_and_stop(world, key, f"step-{step}", (step, where))
        if not died:
            break
    assert step > 8
    async with world.platform.database.read(Scope.system()) as session:
        rows = (await session.scalars(select(Replica))).all()
    assert len(rows) == step + 1
    assert set(world.engine._runs) == {row.id for row in rows}
