"""Summaries: what the database sums is what rating each record by itself gives."""

from datetime import timedelta

import pytest
from tests.billing.lists import START, price_list
from tests.metering.records import NOON, ORGANIZATION, PROJECT, usage

from galerne.billing.costs.lines import CostFilter, GroupBy
from galerne.billing.costs.service import CostService, CostSummary
from galerne.billing.prices.service import PriceService
from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock
from galerne.metering.usage.schemas import UsageRecordIn
from galerne.metering.usage.service import UsageService
from galerne.metering.usage.validation import QUANTITY_MAX

SYSTEM = Scope.system()
CHANGE = NOON - timedelta(hours=6)


@pytest.fixture
async def priced(database: Database, clock: ManualClock) -> Database:
    """A database with a list at a nano-euro a token, and another at two from six in the morning."""
    clock.advance(-24 * 3600)
    async with database.write(SYSTEM) as session:
        prices = PriceService(session, clock)
        named = {("tokens_input", "dear"): 10_000_000}
        await prices.publish(price_list("first", default_nano=1_000_000, named=named))
        await prices.publish(
            price_list("second", effective_from=CHANGE, default_nano=2_000_000, named=named)
        )
    clock.advance(24 * 3600)
    return database


async def ingest(database: Database, clock: ManualClock, *records: UsageRecordIn) -> None:
    async with database.write(SYSTEM) as session:
        result = await UsageService(session, clock).ingest(records)
    assert result.recorded == len(records)


async def summary(
    database: Database,
    clock: ManualClock,
    group_by: GroupBy,
    wanted: CostFilter | None = None,
    *,
    scope: Scope = SYSTEM,
) -> CostSummary:
    async with database.read(scope) as session:
        return await CostService(session, clock).summary(group_by, wanted or CostFilter())


def costs(found: CostSummary) -> dict[str | None, int]:
    return {key: sums.cost_nano for key, sums in found.groups}


class TestPriceInForce:
    async def test_at_the_end(self, priced: Database, clock: ManualClock) -> None:
        """Each record is rated by the list in force when it ended, to the microsecond."""
        before = CHANGE - timedelta(microseconds=1)
        await ingest(
            priced,
            clock,
            usage("a", started_at=START, ended_at=before, workload_id="before"),
            usage("b", started_at=START, ended_at=CHANGE, workload_id="across"),
        )

        assert costs(await summary(priced, clock, GroupBy.WORKLOAD)) == {
            "before": 100,
            "across": 200,
        }

    async def test_own_price(self, priced: Database, clock: ManualClock) -> None:
        """A model with a price of its own has that, every other the default, and none is null."""
        cpu = usage("c", meter="cpu_milliseconds", model=None, quantity=3_600_000)
        await ingest(priced, clock, usage("a", model="dear"), usage("b", model="other"), cpu)

        assert costs(await summary(priced, clock, GroupBy.MODEL)) == {
            "dear": 1000,
            "other": 200,
            None: 2_000_000,
        }

    async def test_before_the_first_list(self, priced: Database, clock: ManualClock) -> None:
        """Use without a price is counted as such, costs nothing, and keeps its quantity."""
        early = START - timedelta(seconds=1)
        await ingest(priced, clock, usage("a", started_at=early, ended_at=early), usage("b"))
        found = await summary(priced, clock, GroupBy.METER)

        assert found.totals.unpriced_records == 1
        assert found.totals.cost_nano == 200
        assert found.totals.quantities == {"tokens_input": 200}


class TestRounding:
    async def test_each_record_by_itself(self, priced: Database, clock: ManualClock) -> None:
        """Three thirds of a nano-euro, each in a record of its own, are three times nothing."""
        third = {"meter": "cpu_milliseconds", "model": None, "quantity": 1}
        await ingest(priced, clock, *(usage(f"a{number}", **third) for number in range(3)))

        # 2,000,000 nano-euro for 3,600,000 ms: 0.56, which is 1 for each record and not 2 for all.
        assert (await summary(priced, clock, GroupBy.METER)).totals.cost_nano == 3

    async def test_largest_quantities(self, priced: Database, clock: ManualClock) -> None:
        """Sums beyond 64 bits stay exact on every database."""
        largest = {"quantity": QUANTITY_MAX, "model": "dear"}
        await ingest(priced, clock, *(usage(f"a{number}", **largest) for number in range(1100)))
        found = (await summary(priced, clock, GroupBy.MODEL)).totals

        assert found.quantities["tokens_input"] == 1100 * QUANTITY_MAX
        assert found.cost_nano == 1100 * QUANTITY_MAX * 10


class TestGroups:
    async def test_days(self, priced: Database, clock: ManualClock) -> None:
        """A day is a day in UTC, and a record belongs to the one in which it ended."""
        midnight = NOON.replace(hour=0)
        await ingest(
            priced,
            clock,
            usage("a", started_at=START, ended_at=midnight - timedelta(microseconds=1)),
            usage("b", started_at=START, ended_at=midnight),
        )

        assert {key for key, _ in (await summary(priced, clock, GroupBy.DAY)).groups} == {
            "2026-11-21",
            "2026-11-22",
        }

    async def test_dearest_first(self, priced: Database, clock: ManualClock) -> None:
        """Groups come by what they cost; what is beyond those shown sums up to the totals."""
        await ingest(
            priced,
            clock,
            *(
                usage(f"a{number}", workload_id=f"w{number}", quantity=number)
                for number in (2, 3, 1)
            ),
        )
        found = await summary(priced, clock, GroupBy.WORKLOAD)

        assert [key for key, _ in found.groups] == ["w3", "w2", "w1"]
        assert found.others(1).cost_nano == 6
        assert found.others(1).records == 2
        assert found.totals.cost_nano == 12
        assert found.as_of == clock.now()

    async def test_energy_and_carbon(self, priced: Database, clock: ManualClock) -> None:
        """Energy and carbon are summed, and name every method and source that is in the sum."""
        energy = {
            "meter": "energy",
            "model": None,
            "quantity": 5,
            "energy_microwatt_hours": 5,
            "carbon_micrograms": 2,
        }
        await ingest(
            priced,
            clock,
            usage("a", **energy, energy_method="measured", carbon_source="one"),
            usage("b", **energy, energy_method="estimated", carbon_source="two"),
            usage("c"),
        )
        totals = (await summary(priced, clock, GroupBy.PROJECT)).totals

        assert totals.energy_microwatt_hours == 10
        assert totals.energy_methods == {"measured", "estimated"}
        assert totals.carbon_micrograms == 4
        assert totals.carbon_sources == {"one", "two"}


class TestFilter:
    async def test_project_and_period(self, priced: Database, clock: ManualClock) -> None:
        """A summary is of what was asked for; the end of the period is not part of it."""
        await ingest(
            priced,
            clock,
            usage("a", quantity=1),
            usage("b", quantity=2, project_id="prj_two"),
            usage("c", quantity=4, ended_at=NOON + timedelta(minutes=1)),
        )

        async def tokens(**wanted: object) -> int:
            chosen = CostFilter(**wanted)  # type: ignore[arg-type]  # the cases below are the types
            found = await summary(priced, clock, GroupBy.METER, chosen)
            return found.totals.quantities["tokens_input"]

        assert await tokens() == 7
        assert await tokens(project_id=PROJECT) == 5
        assert await tokens(since=NOON + timedelta(minutes=1)) == 4
        assert await tokens(until=NOON + timedelta(minutes=1)) == 3

    @pytest.mark.parametrize("group_by", list(GroupBy))
    async def test_other_tenants(
        self, priced: Database, clock: ManualClock, group_by: GroupBy
    ) -> None:
        """A tenant's summary holds nothing of another's, nor a project's key of another project."""
        await ingest(
            priced,
            clock,
            usage("a", quantity=1),
            usage("b", quantity=2, project_id="prj_two"),
            usage("c", quantity=4, organization_id="org_two", project_id="prj_three"),
        )
        own = await summary(priced, clock, group_by, scope=Scope(ORGANIZATION))
        project = await summary(priced, clock, group_by, scope=Scope(ORGANIZATION, PROJECT))

        assert own.totals.quantities["tokens_input"] == 3
        assert project.totals.quantities["tokens_input"] == 1
