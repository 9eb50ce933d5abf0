"""Stories of jobs, through the API, the scheduler, the reconcilers and the fake engine."""

import itertools
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.scenarios.cloud import CLAIM_SECONDS, Cloud, Killed

from galerne.compute.jobs.models import Job, JobAttempt
from galerne.compute.leases.models import CapacityLease
from galerne.db.session import Scope
from galerne.metering.usage.models import UsageRecord

Json = dict[str, Any]


def job(name: str = "hello", /, **changes: Any) -> Json:
    spec: Json = {
        "type": "job",
        "name": name,
        "commands": ["echo hello"],
        "resources": {"cpu": 2, "memory": "4GB", "disk": "1GB"},
        "max_duration": "10m",
        **changes,
    }
    return {"project": None, "spec": spec, "files": []}


async def submit(world: Cloud, key: str, body: Json) -> Json:
    async with world.client(key) as client:
        answer = await client.post("/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())


async def show(world: Cloud, key: str, job_id: str) -> Json:
    async with world.client(key) as client:
        return dict((await client.get(f"/jobs/{job_id}")).json())


async def why(world: Cloud, key: str, job_id: str) -> Json:
    async with world.client(key) as client:
        return dict((await client.get(f"/jobs/{job_id}/why")).json()["reason"])


async def finish(world: Cloud, key: str, job_id: str) -> Json:
    for _ in range(60):
        await world.work()
        seen = await show(world, key, job_id)
        if seen["state"] in {"succeeded", "failed", "stopped"}:
            return seen
        await world.advance(2)
    raise AssertionError("it never ended")


async def test_a_job_runs_and_is_accounted_for(world: Cloud) -> None:
    """A job is placed, runs, succeeds, gives its capacity back, and its use is recorded once."""
    key = await world.tenant()
    made = await submit(world, key, job())
    assert made["state"] == "pending"

    await world.work()
    running = await show(world, key, made["id"])
    assert running["state"] == "running"
    assert running["attempts"][0]["node_names"][0].startswith("brest-")

    ended = await finish(world, key, made["id"])

    assert ended["state"] == "succeeded"
    assert [attempt["cause"] for attempt in ended["attempts"]] == ["completed"]
    async with world.platform.database.read(Scope.system()) as session:
        states = (await session.scalars(select(CapacityLease.state))).all()
        cpu = await session.scalar(
            select(func.sum(UsageRecord.quantity)).where(UsageRecord.meter == "cpu_milliseconds")
        )
    assert [state.value for state in states] == ["released"]
    assert cpu == ended["attempts"][0]["cpu_nanoseconds"] // 1_000_000 == 60_000


async def test_the_plan_says_where_and_what_it_costs(world: Cloud) -> None:
    """A plan names site, reason for each site, price an hour and in all, energy and carbon."""
    key = await world.tenant()
    async with world.client(key) as client:
        plan = (await client.post("/jobs/plan", json=job())).json()

    assert plan["placement"]["verdict"] == "placed"
    assert plan["placement"]["site"] == "brest"
    verdicts = {each["site"]: each["allowed"] for each in plan["placement"]["sites"]}
    assert verdicts["brest"]
    assert not verdicts["zurich"]
    assert plan["price_per_hour"]["amount_nano"] > 0
    assert plan["price_total"]["amount_nano"] * 6 == pytest.approx(
        plan["price_per_hour"]["amount_nano"], abs=6
    )
    assert plan["energy_method"] == "estimated"
    assert plan["carbon_milligrams_per_hour"] > 0


async def test_a_site_outside_the_label_is_refused_and_the_refusal_is_on_record(
    world: Cloud,
) -> None:
    """Work for a France-only project cannot be sent to Zurich, and the log says that it was tried."""
    key = await world.tenant()
    async with world.client(key) as client:
        refused = await client.post("/jobs", json=job(regions=["zurich"]))
        jobs = (await client.get("/jobs")).json()["items"]
        record = (await client.get("/events", params={"kind": "decision.refused"})).json()["items"]

    assert refused.status_code == 403
    assert "CH" in refused.json()["detail"]
    assert refused.json()["hint"]
    assert jobs == []
    assert len(record) == 1
    assert record[0]["data"]["site_wanted"] == "zurich"


async def test_the_open_network_is_a_flow_that_a_label_refuses(world: Cloud) -> None:
    """A job that may be in France only cannot ask for the open network; one that may be anywhere can."""
    french, free = await world.tenant(), await world.tenant("Essai libre", ["anywhere"])
    async with world.client(french) as client:
        refused = await client.post("/jobs", json=job(network="open"))
    async with world.client(free) as client:
        taken = await client.post("/jobs", json=job(network="open"))
        record = (await client.get("/events", params={"kind": "decision.network"})).json()["items"]

    assert refused.status_code == 403
    assert refused.json()["code"] == "label_refuses_network"
    assert taken.status_code == 202
    assert [entry["subject_id"] for entry in record] == [taken.json()["id"]]


async def test_impossible_resources_are_refused_with_what_there_is(world: Cloud) -> None:
    """What no node could ever give is refused at once, not queued for ever."""
    key = await world.tenant()
    async with world.client(key) as client:
        refused = await client.post("/jobs", json=job(resources={"cpu": 512, "memory": "4GB"}))

    assert refused.status_code == 422
    assert refused.json()["code"] == "impossible_resources"
    assert refused.json()["hint"]


async def test_a_job_that_waits_says_what_for(world: Cloud) -> None:
    """When the nodes are full the next job waits, says so, and runs when one of them ends."""
    key = await world.tenant()
    big = {"cpu": 8, "memory": "1GB"}
    made = [await submit(world, key, job(f"big-{n}", resources=big)) for n in range(4)]
    await world.work()
    states = [(await show(world, key, each["id"]))["state"] for each in made]
    assert sorted(states) == ["pending", "running", "running", "running"]
    waiting = made[states.index("pending")]

    reason = await why(world, key, waiting["id"])
    assert reason["message"]
    assert reason["hint"]

    for each in made:
        assert (await finish(world, key, each["id"]))["state"] == "succeeded"


@pytest.mark.parametrize(
    ("env", "retry", "attempts", "state", "code"),
    [
        ({"GALERNE_FAKE_EXIT_CODE": "3"}, None, 1, "failed", "failed"),
        ({"GALERNE_FAKE_EXIT_CODE": "3"}, ["error"], 3, "failed", "failed"),
        ({"GALERNE_FAKE_EXIT_CODE": "3"}, ["interruption"], 1, "failed", "failed"),
        ({"GALERNE_FAKE_CAUSE": "out_of_memory"}, ["error"], 1, "failed", "out_of_memory"),
        ({"GALERNE_FAKE_CAUSE": "out_of_memory"}, ["out-of-memory"], 3, "failed", "out_of_memory"),
        ({"GALERNE_FAKE_CAUSE": "interrupted"}, ["interruption"], 3, "failed", "interrupted"),
    ],
)
async def test_a_failure_is_retried_by_its_cause(
    world: Cloud,
    env: dict[str, str],
    retry: list[str] | None,
    attempts: int,
    state: str,
    code: str,
) -> None:
    """Only the causes that the file names lead to another attempt, and no more than it allows."""
    key = await world.tenant()
    policy: Json = {"retry": {"on_events": retry, "attempts": 3}} if retry else {}
    made = await submit(world, key, job(env=env, **policy))

    ended = await finish(world, key, made["id"])

    assert (ended["state"], ended["reason"]["code"]) == (state, code)
    assert len(ended["attempts"]) == attempts


async def test_a_job_outlives_its_node(world: Cloud) -> None:
    """When the node dies the job runs again elsewhere, if its file says so."""
    key = await world.tenant()
    patient = job(
        retry={"on_events": ["interruption"], "attempts": 2},
        env={"GALERNE_FAKE_RUN_SECONDS": "100"},
    )
    made = await submit(world, key, patient)
    await world.work()
    first = (await show(world, key, made["id"]))["attempts"][0]["node_names"][0]
    await world.lose(first)

    ended = await finish(world, key, made["id"])

    assert ended["state"] == "succeeded"
    assert [attempt["cause"] for attempt in ended["attempts"]] == ["interrupted", "completed"]


async def test_stop_is_graceful_and_final(world: Cloud) -> None:
    """A stopped job ends as stopped, is not retried, and cannot be stopped again."""
    key = await world.tenant()
    made = await submit(world, key, job(retry={"on_events": ["interruption", "error"]}))
    await world.work()
    async with world.client(key) as client:
        asked = await client.post(f"/jobs/{made['id']}/stop")
        twice = await client.post(f"/jobs/{made['id']}/stop")
    assert asked.json()["wanted"] == "stop"
    assert twice.status_code == 202

    ended = await finish(world, key, made["id"])
    async with world.client(key) as client:
        late = await client.post(f"/jobs/{made['id']}/stop")

    assert ended["state"] == "stopped"
    assert late.status_code == 409
    assert late.json()["code"] == "job_ended"


async def test_a_job_stopped_while_it_waits_never_starts(world: Cloud) -> None:
    """Stopping a job that waits gives back its place in the queue and asks no engine."""
    key = await world.tenant()
    made = await submit(world, key, job())
    async with world.client(key) as client:
        await client.post(f"/jobs/{made['id']}/stop")

    ended = await finish(world, key, made["id"])

    assert ended["state"] == "stopped"
    assert ended["attempts"] == []


@pytest.mark.parametrize("where", ["claim", "act"])
async def test_a_worker_may_die_at_every_step(world: Cloud, where: str) -> None:
    """Kill the worker after each claim and after each act in turn: nothing is lost or started twice."""
    key = await world.tenant()
    for step in itertools.count():
        made = await submit(world, key, job(f"step-{step}"))
        world.steps = 0
        died = False
        try:
            await world.work(kill_at=(step, where))
            for _ in range(20):
                await world.advance(2, kill_at=(step, where))
        except Killed:
            died = True
            world.clock.advance(CLAIM_SECONDS + 1)
        ended = await finish(world, key, made["id"])
        assert ended["state"] == "succeeded"
        assert len(ended["attempts"]) == 1
        if not died:
            break
    assert step > 4
    async with world.platform.database.read(Scope.system()) as session:
        attempts = (await session.scalars(select(JobAttempt))).all()
        jobs = await session.scalar(select(func.count()).select_from(Job))
        cpu = await session.scalar(
            select(func.sum(UsageRecord.quantity)).where(UsageRecord.meter == "cpu_milliseconds")
        )
    assert len(attempts) == jobs == step + 1
    assert cpu == sum(attempt.cpu_nanoseconds for attempt in attempts) // 1_000_000


async def test_an_engine_that_does_not_answer_is_waited_for(world: Cloud) -> None:
    """While the engine is unreachable nothing is concluded; afterwards the job goes on."""
    key = await world.tenant()
    made = await submit(world, key, job())
    await world.work()
    world.engine.fail(20)
    await world.advance(5)
    assert (await show(world, key, made["id"]))["state"] == "running"
    assert (await why(world, key, made["id"]))["code"] == "backing_off"

    ended = await finish(world, key, made["id"])

    assert ended["state"] == "succeeded"
    assert len(ended["attempts"]) == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"comands": ["x"]}, "comands"),
        ({"commands": []}, "commands"),
        ({"resources": {"cpu": "many"}}, "cpu"),
        ({"resources": {"memory": "4 bananas"}}, "4 bananas"),
        ({"resources": {"gpu": "B200:many"}}, "B200:many"),
        ({"nodes": 0}, "nodes"),
        ({"max_duration": "soon"}, "soon"),
        ({"name": "No Capitals"}, "name"),
        ({"working_dir": "../.."}, "../.."),
        ({"env": {"1BAD": "x"}}, "1BAD"),
        ({"retry": {"on_events": ["sunshine"]}}, "on_events"),
    ],
)
async def test_a_bad_file_is_refused_by_the_name_of_what_is_wrong(
    world: Cloud, changes: Json, named: str
) -> None:
    """Every mistake in a file is answered with where it is; nothing is accepted."""
    key = await world.tenant()
    async with world.client(key) as client:
        answer = await client.post("/jobs", json=job(**changes))
        jobs = (await client.get("/jobs")).json()["items"]

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert named in answer.text
    assert jobs == []


async def test_a_job_on_several_nodes_gets_all_of_them_or_none(world: Cloud) -> None:
    """Nodes are given together, distinct and at one site; more than there are is refused at once."""
    key = await world.tenant()
    made = await submit(world, key, job(nodes=3))
    async with world.client(key) as client:
        refused = await client.post("/jobs", json=job(nodes=4))

    ended = await finish(world, key, made["id"])

    assert ended["state"] == "succeeded"
    assert sorted(ended["attempts"][0]["node_names"]) == ["brest-1", "brest-2", "brest-3"]
    assert (refused.status_code, refused.json()["code"]) == (422, "impossible_resources")
