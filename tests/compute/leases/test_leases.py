"""Leases: asked for, held, taken up, released, and lost with their nodes."""

import pytest
from sqlalchemy import func, select
from tests.compute.capacity import add_site, ask, lease, report, schedule, wanted

from galerne.compute.leases.errors import LeaseNotFound
from galerne.compute.leases.service import LeaseService
from galerne.compute.leases.states import TERMINAL, TRANSITIONS, LeaseState
from galerne.compute.nodes.models import Holding
from galerne.compute.nodes.service import NodeService
from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock


async def release(database: Database, clock: ManualClock, lease_id: str) -> None:
    async with database.write(Scope("org_a", "prj_a")) as session:
        await LeaseService(session, clock).release(lease_id, actor="worker")


async def holdings(database: Database) -> int:
    async with database.read(Scope.system()) as session:
        return await session.scalar(select(func.count()).select_from(Holding)) or 0


class TestLife:
    async def test_from_asking_to_giving_back(self, database: Database, clock: ManualClock) -> None:
        """A lease waits, is held on named nodes, is taken up once, and frees them when released."""
        site = await add_site(database, clock, nodes=2)
        (lease_id,) = await ask(database, clock, wanted(cores=4, nodes=2))
        assert (await lease(database, lease_id)).state is LeaseState.WAITING
        assert await schedule(database, clock) == 1
        held = await lease(database, lease_id)
        assert (held.state, held.site_id, held.driver) == (LeaseState.HELD, site.id, "local")
        assert held.node_names == ["here-1", "here-2"]
        async with database.write(Scope.system()) as session:
            service = LeaseService(session, clock)
            assert [found.id for found in await service.held_untaken("att")] == [lease_id]
            assert not await service.held_untaken("rep")
            await service.take_up(lease_id)
            assert not await service.held_untaken("att")
        assert await holdings(database) == 2
        await release(database, clock, lease_id)
        await release(database, clock, lease_id)
        assert (await lease(database, lease_id)).state is LeaseState.RELEASED
        assert await holdings(database) == 0

    async def test_waiting_can_be_given_up(self, database: Database, clock: ManualClock) -> None:
        """A lease released while it waits is never held."""
        await add_site(database, clock, nodes=1)
        (lease_id,) = await ask(database, clock, wanted())
        await release(database, clock, lease_id)
        assert await schedule(database, clock) == 0
        assert (await lease(database, lease_id)).state is LeaseState.RELEASED

    async def test_of_units_and_by_ids(self, database: Database, clock: ManualClock) -> None:
        """Leases are found by their own ids and by their units; the newest of a unit counts."""
        (old,) = await ask(database, clock, wanted())
        (new,) = await ask(database, clock, wanted())
        async with database.read(Scope.system()) as session:
            service = LeaseService(session, clock)
            assert (await service.of_units(["att_a0"]))["att_a0"].id == new
            assert (await service.by_ids([old, "lse_none"])).keys() == {old}

    async def test_another_tenants_lease_does_not_exist(
        self, database: Database, clock: ManualClock
    ) -> None:
        """A tenant can neither see nor release what another holds."""
        (lease_id,) = await ask(database, clock, wanted())
        async with database.write(Scope("org_b")) as session:
            service = LeaseService(session, clock)
            with pytest.raises(LeaseNotFound):
                await service.get(lease_id)
            with pytest.raises(LeaseNotFound):
                await service.release(lease_id, actor="key_b")

    def test_every_state_but_the_last_has_a_way_on(self) -> None:
        """Only a released lease stays as it is."""
        assert {state for state, _ in TRANSITIONS} == set(LeaseState) - TERMINAL


class TestDownNodes:
    async def test_leases_on_them_are_found(self, database: Database, clock: ManualClock) -> None:
        """When a node is lost, the leases that hold a part of it are handed to their reconcilers."""
        site = await add_site(database, clock, nodes=2)
        both, one = (
            *await ask(database, clock, wanted(cores=2, nodes=2)),
            *await ask(database, clock, wanted(cores=2), tenant="b"),
        )
        await schedule(database, clock)
        (kept_name,) = (await lease(database, one)).node_names
        clock.advance(60)
        async with database.write(Scope.system()) as session:
            nodes = NodeService(session, clock)
            await nodes.report(site, "local", [report(kept_name)])
            await nodes.lose_unseen("local", unseen_seconds=30)
        async with database.read(Scope.system()) as session:
            hit = await LeaseService(session, clock).on_down_nodes()
        assert [found.id for found in hit] == [both]
