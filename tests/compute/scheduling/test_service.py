"""What scheduling answers before and while something waits."""

import pytest
from tests.compute.capacity import add_site, ask, bring_in, fleet_file, lease, schedule, wanted

from galerne.catalog.sites.errors import SiteNotFound
from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.scheduling.errors import ImpossibleResources, LabelAllowsNoSite
from galerne.compute.scheduling.schemas import Preview, Reason
from galerne.compute.scheduling.service import SchedulingService
from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock
from galerne.sovereignty.labels import parse_label

TENANT = Scope("org_a", "prj_a")


async def preview(database: Database, clock: ManualClock, request: LeaseRequest) -> Preview:
    async with database.read(TENANT) as session:
        return await SchedulingService(session, clock).preview(request)


async def require(database: Database, clock: ManualClock, request: LeaseRequest) -> None:
    async with database.read(TENANT) as session:
        await SchedulingService(session, clock).require_possible(request)


async def why(database: Database, clock: ManualClock, lease_id: str) -> Reason:
    async with database.read(TENANT) as session:
        service = SchedulingService(session, clock)
        return await service.why(await lease(database, lease_id))


class TestPreview:
    async def test_where_it_would_run(self, database: Database, clock: ManualClock) -> None:
        """The plan names site, nodes, driver and power, and the verdict on every site."""
        await bring_in(database, clock, fleet_file(count=2))
        await add_site(database, clock, "alpes", country="CH", is_simulated=True)
        plan = await preview(
            database,
            clock,
            wanted(
                cores=144,
                accelerators=4,
                accelerator_type="GB200",
                nodes=18,
                label=parse_label(["FR"]),
            ),
        )
        assert (plan.verdict, plan.site, plan.driver) == ("placed", "essonne", "fake")
        assert len({name.rsplit("-", 1)[0] for name in plan.nodes}) == 1
        assert plan.power_watts is not None
        assert 110_000 < plan.power_watts <= 132_000
        assert [(v.site, v.allowed) for v in plan.sites] == [("alpes", False), ("essonne", True)]

    async def test_others_leases_count_though_they_are_not_seen(
        self, database: Database, clock: ManualClock
    ) -> None:
        """A tenant's plan knows that nodes are taken, and not by whom."""
        await add_site(database, clock, nodes=1)
        await ask(database, clock, wanted(cores=4), tenant="b")
        await schedule(database, clock)
        plan = await preview(database, clock, wanted(cores=1))
        assert (plan.verdict, plan.code) == ("waiting", "waiting_for_capacity")
        assert (plan.site, plan.nodes) == (None, ())

    async def test_a_refusal(self, database: Database, clock: ManualClock) -> None:
        """What the label allows nowhere is refused in the plan, with the reason."""
        await add_site(database, clock, "alpes", nodes=1, country="CH")
        plan = await preview(database, clock, wanted(label=parse_label(["FR"]), site="alpes"))
        assert (plan.verdict, plan.code) == ("refused", "label_allows_no_site")
        assert plan.reason == "alpes is refused: alpes is in CH; the label allows FR"


class TestRequirePossible:
    async def test_what_waiting_would_not_help_is_refused(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Each kind of refusal has its own error, its hint, and the verdict on every site."""
        await add_site(database, clock, nodes=2)
        await require(database, clock, wanted(cores=4, nodes=2))
        with pytest.raises(ImpossibleResources, match="at most") as impossible:
            await require(database, clock, wanted(cores=5))
        assert impossible.value.hint == "ask for at most 4 cores per node, and more nodes"
        with pytest.raises(LabelAllowsNoSite) as refused:
            await require(database, clock, wanted(label=parse_label(["DE"])))
        assert refused.value.details["sites"][0]["site"] == "here"
        with pytest.raises(SiteNotFound):
            await require(database, clock, wanted(site="nowhere"))

    async def test_a_full_fleet_refuses_nothing(
        self, database: Database, clock: ManualClock
    ) -> None:
        """What is only taken now is worth waiting for."""
        await add_site(database, clock, nodes=1)
        await ask(database, clock, wanted(cores=4))
        await schedule(database, clock)
        await require(database, clock, wanted(cores=4))

    @pytest.mark.parametrize(
        "request_",
        [
            wanted(cores=145),
            wanted(accelerators=5),
            wanted(accelerators=4, nodes=36),
            wanted(accelerators=4, nodes=37),
            wanted(accelerators=1, accelerator_type="H100"),
            wanted(cores=144, accelerators=4, nodes=30),
        ],
    )
    async def test_it_agrees_with_the_plan(
        self, database: Database, clock: ManualClock, request_: LeaseRequest
    ) -> None:
        """The cheap check by kinds of node says the same as placement on the empty fleet."""
        await bring_in(database, clock, fleet_file(count=2, cap="250kW"))
        plan = await preview(database, clock, request_)
        async with database.read(TENANT) as session:
            refusal = await SchedulingService(session, clock).refusal(request_)
        assert refusal == (plan if plan.verdict == "refused" else None)
        if plan.verdict == "refused":
            with pytest.raises(ImpossibleResources, match=plan.reason):
                await require(database, clock, request_)
        else:
            await require(database, clock, request_)


class TestWhy:
    async def test_a_waiting_lease_says_what_for_and_how_many_go_before(
        self, database: Database, clock: ManualClock
    ) -> None:
        """The message is of now, and the place in the queue of the last cycle."""
        await add_site(database, clock, nodes=1)
        leases = await ask(database, clock, wanted(cores=4), times=3)
        await schedule(database, clock)
        reason = await why(database, clock, leases[2])
        assert reason.code == "waiting_for_capacity"
        assert "here has 0 of its 1 such nodes free" in reason.message
        assert reason.message.endswith("1 request is ahead of it")

    async def test_before_the_first_cycle_it_is_queued(
        self, database: Database, clock: ManualClock
    ) -> None:
        """What fits and was not yet looked at waits for the scheduler, nothing else."""
        await add_site(database, clock, nodes=1)
        (lease_id,) = await ask(database, clock, wanted())
        assert (await why(database, clock, lease_id)).code == "queued"

    async def test_capacity_kept_for_an_older_request(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Who finds nodes free and is not given them learns for whom they are kept."""
        await add_site(database, clock, nodes=2)
        await ask(database, clock, wanted(cores=4), tenant="busy")
        await schedule(database, clock)
        await ask(database, clock, wanted(cores=4, nodes=2), tenant="gang")
        clock.advance(601)
        (small,) = await ask(database, clock, wanted(cores=1))
        assert await schedule(database, clock) == 0
        reason = await why(database, clock, small)
        assert reason.code == "waiting_for_older"
        assert "waited longer" in reason.message

    async def test_a_held_lease_waits_for_nothing(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Once held, the answer is its state."""
        await add_site(database, clock, nodes=1)
        (lease_id,) = await ask(database, clock, wanted())
        await schedule(database, clock)
        assert (await why(database, clock, lease_id)).code == "held"
