"""A quote is what the bill would be if the work used all that it asks for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.billing.lists import price_list
from tests.metering.records import NOON
from tests.metering.sites import add_site, site

from galerne.billing.prices.book import PriceBook
from galerne.billing.prices.errors import PriceMissing
from galerne.billing.prices.service import PriceService, default_price_list
from galerne.billing.quotes import PriceQuoter, quote, use_of
from galerne.billing.rating import UnitPrice
from galerne.compute.admission import QuoteRequest
from galerne.db.session import Database, Scope
from galerne.drivers.base import EnergyMethod
from galerne.kit.clock import ManualClock
from galerne.kit.money import Euro
from galerne.metering.energy import attribute
from galerne.metering.usage.tasks import ComputeWindow, compute_records

REQUEST = QuoteRequest(
    organization_id="org_one",
    site_id=None,
    nodes=1,
    cpu_millis=1000,
    memory_bytes=2**30,
    accelerators=0,
    accelerator_type=None,
    duration_seconds=1800,
    at=NOON,
)
GPU_REQUEST = replace(REQUEST, nodes=18, accelerators=4, accelerator_type="GB200")


def book() -> PriceBook:
    stated = default_price_list()
    prices = {(each.meter, each.selector): each.price for each in stated.prices}
    return PriceBook("prl_x", stated.name, stated.effective_from, None, prices)


class TestPrice:
    def test_one_core(self) -> None:
        """A core and a gibibyte for an hour cost what the list says of each, half an hour half of it."""
        quoted = quote(REQUEST, book(), None)

        assert quoted.price_per_hour == Euro(18_000_000 + 2_200_000)
        assert quoted.total == Euro(10_100_000)

    def test_rack(self) -> None:
        """Accelerators count on every node, by their own type's price, whatever its spelling."""
        one = quote(replace(GPU_REQUEST, cpu_millis=0, memory_bytes=0), book(), None)
        other = quote(
            replace(GPU_REQUEST, cpu_millis=0, memory_bytes=0, accelerator_type="nvidia gb200"),
            book(),
            None,
        )

        assert one.price_per_hour == Euro(72 * 5_200_000_000)
        assert other.price_per_hour == one.price_per_hour

    def test_open_ended(self) -> None:
        """Without a duration there is a price for an hour and no total."""
        quoted = quote(replace(REQUEST, duration_seconds=None), book(), None)

        assert quoted.total is None
        assert quoted.price_per_hour == Euro(20_200_000)


class TestEnergy:
    def test_method(self) -> None:
        """The energy is an estimate, and its note names the model, the power and the PUE."""
        quoted = quote(GPU_REQUEST, book(), site(pue_milli=1250))

        assert quoted.energy_method is EnergyMethod.ESTIMATED
        for part in ("cloud-averages", "1200 W a held GB200", "PUE", "1.25"):
            assert part in quoted.energy_note
        # 72 accelerators of 1,200 W, 18 cores of 3.5 W and 18 GiB of 0.392 W a GB, times 1.25.
        assert quoted.energy_watt_hours_per_hour == round(
            1.25 * (72 * 1200 + 18 * 3.5 + 18 * 2**30 / 1e9 * 0.392)
        )

    def test_carbon(self) -> None:
        """Carbon is by the site's grid zone, with its source; without a site there is none."""
        placed = quote(GPU_REQUEST, book(), site(grid_zone="FRA"))
        nowhere = quote(GPU_REQUEST, book(), None)

        assert placed.carbon_source is not None
        assert "FRA" in placed.carbon_source
        assert placed.carbon_milligrams_per_hour
        assert nowhere.carbon_milligrams_per_hour is None
        assert nowhere.carbon_source is None


class TestQuoter:
    async def test_by_price_list_and_site(self, database: Database, clock: ManualClock) -> None:
        """The quoter takes the list in force and the site's own PUE and grid."""
        async with database.write(Scope.system()) as session:
            await PriceService(session, clock).ensure_default()
            site_id = await add_site(session, clock)
        async with database.read(Scope("org_one")) as session:
            quoted = await PriceQuoter(clock).quote(session, replace(REQUEST, site_id=site_id))

        assert quoted.price_per_hour == Euro(20_200_000)
        assert "essonne-1" in quoted.energy_note

    async def test_no_price_list(self, database: Database, clock: ManualClock) -> None:
        """Without a price list there is no quote, and the error says why."""
        async with database.read(Scope("org_one")) as session:
            with pytest.raises(PriceMissing):
                await PriceQuoter(clock).quote(session, REQUEST)


@given(
    nodes=st.integers(1, 300),
    cpu_millis=st.integers(0, 200_000),
    memory_bytes=st.integers(0, 2**42),
    accelerators=st.integers(0, 8),
    seconds=st.integers(1, 366 * 24 * 3600),
)
def test_quote_is_the_bill(
    nodes: int, cpu_millis: int, memory_bytes: int, accelerators: int, seconds: int
) -> None:
    """Rating the records of work that used all it asked for gives the quoted total, to the nano-euro."""
    request = replace(
        GPU_REQUEST,
        nodes=nodes,
        cpu_millis=cpu_millis,
        memory_bytes=memory_bytes,
        accelerators=accelerators,
        duration_seconds=seconds,
    )
    prices = book()
    use = use_of(request, seconds=seconds)
    window = ComputeWindow(
        source_id="att_1:0",
        organization_id="org_one",
        project_id="prj_one",
        workload_id="job_one",
        workload_kind="job",
        site_id=None,
        started_at=NOON,
        ended_at=NOON,
        cpu_nanoseconds=use.cpu_nanoseconds,
        memory_byte_seconds=use.memory_byte_seconds,
        accelerator_type="GB200",
        accelerator_milliseconds=use.accelerator_milliseconds,
        energy_microjoules=None,
        energy_method=None,
        label={},
    )
    records = compute_records(window, attribute(use, None, site=None, at=NOON))
    billed = sum(
        (
            prices.rate(each.meter, each.quantity, accelerator_type=each.accelerator_type)
            for each in records
        ),
        Euro(0),
    )

    assert quote(request, prices, None).total == billed


def test_price_list_builder() -> None:
    """The builder of these tests prices each meter for what a price of it is for."""
    assert {each.price for each in price_list().prices if each.meter == "cpu_milliseconds"} == {
        UnitPrice(1_000_000_000, 3_600_000)
    }
