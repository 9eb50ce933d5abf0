"""Workers that are slow, several, or overtaken: the platform does each thing once and forgets nothing."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.scenarios.cloud import CLAIM_SECONDS, Cloud
from tests.scenarios.test_job_story import finish, job, show, submit, why

from galerne.compute.jobs.models import JobAttempt
from galerne.compute.leases.models import CapacityLease
from galerne.compute.scheduling.scheduler import Scheduler
from galerne.db.session import Scope
from galerne.drivers.base import Driver, Launch
from galerne.metering.usage.models import UsageRecord

JOBS = 12


async def a_worker(world: Cloud, owner: str) -> None:
    """Run passes of one worker until it finds no work."""
    for _ in range(100):
        worked = await Scheduler(world.platform.database, world.clock, owner).run()
        for reconciler in world.reconcilers():
            worked += await world.mortal(reconciler, owner).run()
        if not worked:
            return


async def test_workers_side_by_side_do_each_job_once(world: Cloud) -> None:
    """Three workers at the same time: every job has one attempt, one lease, one bill."""
    key = await world.tenant()
    ids = [(await submit(world, key, job(f"job-{n}")))["id"] for n in range(JOBS)]
    for _ in range(20):
        await asyncio.gather(*(a_worker(world, f"w{n}") for n in range(3)))
        world.clock.advance(8)

    states = [(await show(world, key, job_id))["state"] for job_id in ids]

    assert states == ["succeeded"] * JOBS
    async with world.platform.database.read(Scope.system()) as session:
        attempts = (await session.scalars(select(JobAttempt))).all()
        leases = await session.scalar(select(func.count()).select_from(CapacityLease))
        cpu = await session.scalar(
            select(func.sum(UsageRecord.quantity)).where(UsageRecord.meter == "cpu_milliseconds")
        )
    assert len(attempts) == leases == JOBS
    assert cpu == sum(attempt.cpu_nanoseconds for attempt in attempts) // 1_000_000
    assert len(world.engine._runs) == JOBS


async def test_a_slow_worker_is_overtaken_and_starts_nothing_twice(
    world: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that hangs in the engine past its claim finds the job done by another, and changes nothing."""
    key = await world.tenant()
    made = await submit(world, key, job())
    submitted: list[str] = []
    real = world.engine.submit

    async def hang(launch: Launch) -> None:
        submitted.append(launch.handle)
        await real(launch)
        if len(submitted) == 1:
            world.clock.advance(CLAIM_SECONDS + 1)
            await a_worker(world, "overtaker")

    monkeypatch.setattr(world.engine, "submit", hang)
    ended = await finish(world, key, made["id"])

    assert ended["state"] == "succeeded"
    assert len(set(submitted)) == len(ended["attempts"]) == 1
    assert len(world.engine._runs) == 1


async def test_a_stop_that_comes_during_a_pass_is_not_lost(
    world: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is stopped while its attempt fails, and while nothing is free, does stop."""
    key = await world.tenant()
    made = await submit(
        world, key, job(retry={"on_events": ["error"]}, env={"GALERNE_FAKE_EXIT_CODE": "1"})
    )
    await world.work()
    world.clock.advance(31)
    real = world.engine.observe

    async def meanwhile(handles: Any) -> Any:
        monkeypatch.setattr(world.engine, "observe", real)
        for node in await world.engine.nodes():
            await world.lose(node.name)
        async with world.client(key) as client:
            assert (await client.post(f"/jobs/{made['id']}/stop")).status_code == 202
        return await real(handles)

    monkeypatch.setattr(world.engine, "observe", meanwhile)
    await world.work()
    await world.advance(1)

    assert (await show(world, key, made["id"]))["state"] == "stopped"


async def test_a_job_that_its_engine_lost_has_an_end(world: Cloud) -> None:
    """Where the engine has no trace of an attempt, that attempt ends as interrupted, at a known time."""
    key = await world.tenant()
    made = await submit(world, key, job())
    await world.work()
    (attempt,) = (await show(world, key, made["id"]))["attempts"]
    world.engine.lose(attempt["id"])

    ended = await finish(world, key, made["id"])

    assert (ended["state"], ended["reason"]["code"]) == ("failed", "interrupted")
    (attempt,) = ended["attempts"]
    assert attempt["cause"] == "interrupted"
    assert attempt["ended_at"] is not None


async def test_a_launch_that_is_refused_fails_with_the_engines_reason(world: Cloud) -> None:
    """What an engine will never run is not tried again; job and attempt say why."""
    key = await world.tenant()
    made = await submit(world, key, job(env={"GALERNE_FAKE_RUN_SECONDS": "soon"}))

    ended = await finish(world, key, made["id"])

    assert (ended["state"], ended["reason"]["code"]) == ("failed", "fake_directive_invalid")
    assert ended["reason"]["hint"]
    (attempt,) = ended["attempts"]
    assert attempt["cause"] == "launch_failed"
    assert (await why(world, key, made["id"]))["code"] == "fake_directive_invalid"
    async with world.platform.database.read(Scope.system()) as session:
        states = (await session.scalars(select(CapacityLease.state))).all()
    assert [state.value for state in states] == ["released"]


async def test_a_job_that_has_ended_is_not_looked_at_again(
    world: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the end the engine is never asked about an attempt again."""
    key = await world.tenant()
    made = await submit(world, key, job())
    await finish(world, key, made["id"])
    asked: list[str] = []
    driver: Driver = world.engine
    real = driver.observe

    async def count(handles: Any) -> Any:
        asked.extend(handles)
        return await real(handles)

    monkeypatch.setattr(world.engine, "observe", count)
    for _ in range(3):
        await world.advance(60)

    assert asked == []
