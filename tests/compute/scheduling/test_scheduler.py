"""The scheduler's cycle: fenced, recorded, fair, and never beyond what there is."""

import asyncio

from sqlalchemy import select
from tests.compute.capacity import (
    add_site,
    ask,
    bring_in,
    fleet_file,
    lease,
    overcommitted,
    schedule,
    wanted,
)

from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.service import LeaseService
from galerne.compute.leases.states import LeaseState
from galerne.compute.nodes.service import NodeService
from galerne.compute.scheduling.scheduler import Decisions, Scheduler
from galerne.db.session import Database, Scope
from galerne.events.models import LogEntry
from galerne.kit.clock import ManualClock
from galerne.sovereignty.labels import parse_label
from galerne.worker.claims import Claim


async def held(database: Database) -> list[str]:
    async with database.read(Scope.system()) as session:
        found = await session.scalars(
            select(CapacityLease.id).where(CapacityLease.state == LeaseState.HELD)
        )
        return list(found)


class TestCycle:
    async def test_nothing_waits(self, database: Database, clock: ManualClock) -> None:
        """A cycle without waiting leases takes no turn and writes nothing."""
        assert await schedule(database, clock) == 0

    async def test_what_fits_is_held_and_the_rest_waits_with_a_reason(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Four of six are placed; the others carry why, and how many go before them."""
        await add_site(database, clock, nodes=2)
        leases = await ask(database, clock, wanted(cores=2), times=6)
        assert await schedule(database, clock) == 4
        assert await schedule(database, clock) == 0
        waiting = [await lease(database, lease_id) for lease_id in leases[4:]]
        assert [found.state for found in waiting] == [LeaseState.WAITING] * 2
        reasons = [found.waiting or {} for found in waiting]
        assert [reason["code"] for reason in reasons] == ["waiting_for_capacity"] * 2
        assert [reason["ahead"] for reason in reasons] == [
            "it is first in line",
            "1 request is ahead of it",
        ]

    async def test_what_is_given_back_is_given_again(
        self, database: Database, clock: ManualClock
    ) -> None:
        """A release makes room for the next in the queue."""
        await add_site(database, clock, nodes=1)
        first, second = await ask(database, clock, wanted(cores=4), times=2)
        assert await schedule(database, clock) == 1
        async with database.write(Scope.system()) as session:
            await LeaseService(session, clock).release(first, actor="worker")
        assert await schedule(database, clock) == 1
        assert await held(database) == [second]

    async def test_a_crowd_does_not_hold_up_another_project(
        self, database: Database, clock: ManualClock
    ) -> None:
        """With a thousand requests of one project waiting, another's first is placed at once."""
        await add_site(database, clock, nodes=1)
        await ask(database, clock, wanted(), tenant="crowd", times=1000)
        clock.advance(60)
        (one,) = await ask(database, clock, wanted(), tenant="other")
        assert await schedule(database, clock) == 4
        assert one in await held(database)

    async def test_a_drained_node_takes_nothing_new(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Capacity that has left the fleet file is not given to anybody."""
        await bring_in(database, clock, fleet_file(count=2))
        await bring_in(database, clock, fleet_file(count=1))
        await ask(database, clock, wanted(accelerators=4, accelerator_type="gb200"), times=30)
        assert await schedule(database, clock) == 18

    async def test_the_power_cap_holds_over_cycles(
        self, database: Database, clock: ManualClock
    ) -> None:
        """What is held already counts against the cap in the next cycle."""
        await bring_in(database, clock, fleet_file(count=1, cap="90kW"))
        request = wanted(cores=144, accelerators=4)
        first = await ask(database, clock, request, times=5)
        assert await schedule(database, clock) == 5
        await ask(database, clock, request, times=13, tenant="b")
        await schedule(database, clock)
        assert len(await held(database)) < 18
        async with database.read(Scope.system()) as session:
            used = await NodeService(session, clock).used_by_node()
            kinds = await NodeService(session, clock).kinds()
        idle = sum(kind.idle_watts * kind.nodes for kind in kinds)
        load = sum(part.power_milliwatts for part in used.values())
        assert first
        assert (idle * 1000 + load) * 1.2 <= 90_000_000


class TestRecord:
    async def test_a_decision_is_on_record_with_its_inputs(
        self, database: Database, clock: ManualClock
    ) -> None:
        """The log says under which label, which sites were considered and why, and where it went."""
        await add_site(database, clock, "here", nodes=2, certifications=("HDS",))
        await add_site(database, clock, "alpes", nodes=2, country="CH")
        await ask(database, clock, wanted(label=parse_label(["FR"]), nodes=2))
        await schedule(database, clock)
        async with database.read(Scope("org_a", "prj_a")) as session:
            entry = await session.scalar(
                select(LogEntry).where(LogEntry.kind == "decision.placement")
            )
        assert entry is not None
        assert (entry.subject_id, entry.actor) == ("job_a0", "scheduler")
        assert entry.data["label"]["residency"] == ["FR"]
        assert entry.data["sites"] == [
            {
                "site": "alpes",
                "country": "CH",
                "allowed": False,
                "reason": "alpes is in CH; the label allows FR",
            },
            {"site": "here", "country": "FR", "allowed": True, "reason": "here is within FR"},
        ]
        site = entry.data["site"]
        assert (site["name"], site["country"], site["certifications"]) == ("here", "FR", ["HDS"])
        assert (entry.data["nodes"], entry.data["node_count"]) == (["here-1", "here-2"], 2)

    async def test_the_record_stays_bounded(self, database: Database, clock: ManualClock) -> None:
        """A gang of ninety nodes names sixty-four of them, and their number."""
        await add_site(database, clock, nodes=90)
        await ask(database, clock, wanted(nodes=90))
        await schedule(database, clock)
        async with database.read(Scope.system()) as session:
            entry = await session.scalar(
                select(LogEntry).where(LogEntry.kind == "decision.placement")
            )
        assert entry is not None
        assert (len(entry.data["nodes"]), entry.data["node_count"]) == (64, 90)


class Stalled(Scheduler):
    """A scheduler that decides, and then sleeps through the end of its turn before it applies."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        super().__init__(database, clock, "slow")
        self.may_go_on = asyncio.Event()
        self.has_decided = asyncio.Event()

    async def _apply(self, turn: Claim, decisions: Decisions) -> int:
        self.has_decided.set()
        await self.may_go_on.wait()
        return await super()._apply(turn, decisions)


class TestTwoSchedulers:
    async def test_together_they_never_give_more_than_there_is(
        self, database_url: str, clock: ManualClock
    ) -> None:
        """Two schedulers on one database, each with its own connections, hold exactly what fits."""
        first, second = Database(database_url), Database(database_url)
        await add_site(first, clock, nodes=10)
        await ask(first, clock, wanted(cores=2), times=60)
        pair = [Scheduler(first, clock, "one"), Scheduler(second, clock, "two")]
        for _ in range(4):
            await asyncio.gather(*(scheduler.run() for scheduler in pair))
        assert len(await held(first)) == 20
        assert not await overcommitted(first)
        await first.close()
        await second.close()

    async def test_one_that_lost_its_turn_changes_nothing(
        self, database: Database, clock: ManualClock
    ) -> None:
        """A scheduler that wakes after its turn has passed on throws its decision away."""
        await add_site(database, clock, nodes=1)
        await ask(database, clock, wanted(cores=4), times=2)
        slow = Stalled(database, clock)
        running = asyncio.create_task(slow.run())
        await slow.has_decided.wait()
        assert await schedule(database, clock) == 0  # The turn is the slow one's.
        clock.advance(31)
        assert await schedule(database, clock) == 1
        slow.may_go_on.set()
        assert await running == 0
        assert len(await held(database)) == 1
        assert not await overcommitted(database)

    async def test_one_that_died_is_replaced(self, database: Database, clock: ManualClock) -> None:
        """A scheduler killed between deciding and applying has done nothing; its turn runs out."""
        await add_site(database, clock, nodes=1)
        await ask(database, clock, wanted())
        dying = Stalled(database, clock)
        running = asyncio.create_task(dying.run())
        await dying.has_decided.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not await held(database)
        clock.advance(31)
        assert await schedule(database, clock) == 1

    async def test_what_changed_meanwhile_is_respected(
        self, database: Database, clock: ManualClock
    ) -> None:
        """A lease given up, and a node drained, between deciding and applying are left alone."""
        await bring_in(database, clock, fleet_file(count=1))
        request = wanted(accelerators=4)
        kept, given_up = await ask(database, clock, request, times=2)
        slow = Stalled(database, clock)
        running = asyncio.create_task(slow.run())
        await slow.has_decided.wait()
        async with database.write(Scope.system()) as session:
            await LeaseService(session, clock).release(given_up, actor="worker")
        smaller = fleet_file(count=1)
        smaller["sites"][0]["racks"][0] |= {"name": "other"}
        await bring_in(database, clock, smaller)
        slow.may_go_on.set()
        assert await running == 0
        assert await schedule(database, clock) == 1
        assert (await lease(database, kept)).node_names == ["essonne-other1-n01"]
