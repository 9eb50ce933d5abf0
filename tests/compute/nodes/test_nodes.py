"""Nodes: reported, lost, brought back, drained, and listed with what is used of them."""

from sqlalchemy import select
from tests.compute.capacity import add_site, api, ask, call, node, report, schedule, wanted

from galerne.compute.nodes.service import NodeService
from galerne.compute.nodes.states import TRANSITIONS, NodeState
from galerne.db.session import Database, Scope
from galerne.drivers.base import AcceleratorReport, NodeReport
from galerne.events.models import LogEntry
from galerne.kit.clock import ManualClock


async def kinds_on_record(database: Database, subject_id: str) -> list[str]:
    async with database.read(Scope.system()) as session:
        statement = (
            select(LogEntry.kind).where(LogEntry.subject_id == subject_id).order_by(LogEntry.id)
        )
        return list(await session.scalars(statement))


class TestReport:
    async def test_a_report_creates_and_then_changes_nothing(
        self, database: Database, clock: ManualClock
    ) -> None:
        """The first report makes the node; the same again only notes that it was seen."""
        site = await add_site(database, clock)
        for seconds, expected in ((0, "created"), (10, "unchanged")):
            clock.advance(seconds)
            async with database.write(Scope.system()) as session:
                changes = await NodeService(session, clock).report(site, "local", [report("n")])
            assert getattr(changes, expected) == ["n"]
        found = await node(database, "n")
        assert found.seen_at == clock.now()
        assert found.isolation == ["cgroup v2: cpu, memory, pids"]
        assert (found.idle_watts, found.cpu_watts) == (10, 12)

    async def test_a_change_of_hardware_is_taken_over(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Accelerators by any known spelling become the type's own name, and count for power."""
        site = await add_site(database, clock)
        bigger = NodeReport(
            name="n",
            cpu_millis=8000,
            memory_bytes=1,
            disk_bytes=1,
            accelerators=(AcceleratorReport("NVIDIA H100 80GB HBM3", 8, 80_000_000_000),),
        )
        async with database.write(Scope.system()) as session:
            await NodeService(session, clock).report(site, "local", [report("n")])
        async with database.write(Scope.system()) as session:
            changes = await NodeService(session, clock).report(site, "local", [bigger])
        found = await node(database, "n")
        assert changes.changed == ["n"]
        assert (found.accelerator_type, found.accelerators) == ("H100", 8)
        assert found.accelerator_watts == 630

    async def test_a_lost_node_comes_back(self, database: Database, clock: ManualClock) -> None:
        """A node that no report names for a while is down; the next report brings it back."""
        site = await add_site(database, clock, nodes=2)
        clock.advance(60)
        async with database.write(Scope.system()) as session:
            service = NodeService(session, clock)
            await service.report(site, "local", [report("here-1")])
            lost = await service.lose_unseen("local", unseen_seconds=30)
        assert [found.name for found in lost] == ["here-2"]
        assert (await node(database, "here-2")).state is NodeState.DOWN
        async with database.write(Scope.system()) as session:
            await NodeService(session, clock).report(site, "local", [report("here-2")])
        back = await node(database, "here-2")
        assert back.state is NodeState.READY
        assert await kinds_on_record(database, back.id) == ["node.down", "node.ready"]

    def test_every_state_has_a_way_on(self) -> None:
        """No node is stuck: each state of the table can be left."""
        assert {state for state, _ in TRANSITIONS} == set(NodeState)


class TestList:
    async def test_the_operator_sees_what_all_use(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Used and free capacity is counted from held leases, whoever holds them."""
        await add_site(database, clock, nodes=1)
        await ask(database, clock, wanted(cores=1), tenant="a")
        await ask(database, clock, wanted(cores=2), tenant="b")
        assert await schedule(database, clock) == 2
        (item,) = (await call(api(database, clock), "GET", "/nodes")).json()["items"]
        assert item["used"]["cpu_millis"] == 3000
        assert item["free"]["cpu_millis"] == 1000
        assert item["isolation"] == ["cgroup v2: cpu, memory, pids"]

    async def test_a_tenant_sees_only_what_it_uses_itself(
        self, database: Database, clock: ManualClock
    ) -> None:
        """What others hold would be told by the free capacity, so a tenant is shown none."""
        await add_site(database, clock, nodes=1)
        await ask(database, clock, wanted(cores=1), tenant="a")
        await ask(database, clock, wanted(cores=2), tenant="b")
        await schedule(database, clock)
        (item,) = (await call(api(database, clock), "GET", "/nodes", key="tenant")).json()["items"]
        assert item["used"]["cpu_millis"] == 1000
        assert item["free"] is None

    async def test_pages_and_sites(self, database: Database, clock: ManualClock) -> None:
        """Nodes come page by page, of one site if one is named; an unknown site is an error."""
        await add_site(database, clock, "one", nodes=3)
        await add_site(database, clock, "two", nodes=1)
        app = api(database, clock)
        first = (await call(app, "GET", "/nodes?site=one&limit=2")).json()
        second = (
            await call(app, "GET", f"/nodes?site=one&limit=2&cursor={first['next_cursor']}")
        ).json()
        names = [item["name"] for item in (*first["items"], *second["items"])]
        assert sorted(names) == ["one-1", "one-2", "one-3"]
        missing = await call(app, "GET", "/nodes?site=three")
        assert missing.json()["hint"] == "the sites are: one, two"

    async def test_the_scope_is_asked_for(self, database: Database, clock: ManualClock) -> None:
        """A key without fleet:read sees nothing of the fleet."""
        for path in ("/nodes", "/sites", "/accelerators"):
            assert (await call(api(database, clock), "GET", path, key="guest")).status_code == 403
