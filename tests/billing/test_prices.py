"""There is one price list for every moment, and one in force never changes."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.billing.lists import START, price_list
from tests.metering.records import NOON, usage

from galerne.billing.prices.document import parse_euro_nano, read_price_list
from galerne.billing.prices.errors import (
    PriceListGap,
    PriceListInForce,
    PriceListInvalid,
    PriceListNotFound,
    PriceListOverlap,
    PriceListRetroactive,
    PriceMissing,
)
from galerne.billing.prices.models import PriceList
from galerne.billing.prices.schemas import PriceIn, PriceListIn
from galerne.billing.prices.service import PriceService, default_price_list, price_book
from galerne.billing.rating import UnitPrice
from galerne.catalog.accelerators.service import canonical_name
from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock
from galerne.kit.money import Euro
from galerne.metering.meters import METERS
from galerne.rest.errors import GalerneError

SYSTEM = Scope.system()
TOMORROW = NOON + timedelta(days=1)


async def publish(database: Database, clock: ManualClock, stated: PriceListIn) -> str:
    async with database.write(SYSTEM) as session:
        return (await PriceService(session, clock).publish(stated)).id


async def succession(database: Database, clock: ManualClock) -> list[str]:
    async with database.read(SYSTEM) as session:
        return await PriceService(session, clock).check()


class TestDefaultList:
    async def test_ensure(self, database: Database, clock: ManualClock) -> None:
        """A new installation has prices at once; asking again, or with a list there, adds nothing."""
        for _ in range(2):
            async with database.write(SYSTEM) as session:
                await PriceService(session, clock).ensure_default()
        async with database.read(SYSTEM) as session:
            book = await PriceService(session, clock).book(clock.now())

        assert book.name == "default"
        assert book.rate("accelerator_milliseconds", 3_600_000, accelerator_type="B200") == Euro(
            4_600_000_000
        )
        assert await succession(database, clock) == []

    async def test_two_at_once(self, database: Database, clock: ManualClock) -> None:
        """Two processes that start at once on an empty database leave one list."""

        async def ensure() -> None:
            async with database.write(SYSTEM) as session:
                await PriceService(session, clock).ensure_default()

        await asyncio.gather(ensure(), ensure())

        assert await succession(database, clock) == []

    def test_accelerator_names(self) -> None:
        """Accelerator types are spelt as the catalogue spells them, so that their prices are found."""
        named = {
            price.selector
            for price in default_price_list().prices
            if price.meter == "accelerator_milliseconds"
        }

        assert {canonical_name(name) for name in named} == named
        assert {"B200", "GB200", "H100", "H200", "MI300X"} <= named

    def test_every_meter(self) -> None:
        """Every meter has a default price."""
        defaults = {price.meter for price in default_price_list().prices if not price.selector}

        assert defaults == METERS.keys()


class TestPublish:
    async def test_succession(self, database: Database, clock: ManualClock) -> None:
        """A list ends where the next begins; its last moment is the one before."""
        await publish(database, clock, price_list("first", default_nano=1))
        await publish(
            database, clock, price_list("second", effective_from=TOMORROW, default_nano=2)
        )
        async with database.read(SYSTEM) as session:
            prices = PriceService(session, clock)
            just_before = await prices.book(TOMORROW - timedelta(microseconds=1))
            from_then_on = await prices.book(TOMORROW)

        assert (just_before.name, from_then_on.name) == ("first", "second")
        assert await succession(database, clock) == []

    @pytest.mark.parametrize(
        ("stated", "error"),
        [
            (price_list("second", effective_from=START), PriceListOverlap),
            (price_list("second", effective_from=START - timedelta(days=1)), PriceListOverlap),
            (price_list("second", effective_from=START + timedelta(days=1)), PriceListRetroactive),
            (price_list("first", effective_from=TOMORROW), PriceListInvalid),
            (price_list("", effective_from=TOMORROW), PriceListInvalid),
            (price_list("x" * 101, effective_from=TOMORROW), PriceListInvalid),
            (price_list(named={("requests", "a-model"): 1, ("energy", "x"): 1}), PriceListInvalid),
        ],
    )
    async def test_refused(
        self,
        database: Database,
        clock: ManualClock,
        stated: PriceListIn,
        error: type[GalerneError],
    ) -> None:
        """What would leave a moment with two prices or change what was rated is refused with a hint."""
        await publish(database, clock, price_list("first"))

        with pytest.raises(error) as refusal:
            await publish(database, clock, stated)
        assert refusal.value.hint
        assert await succession(database, clock) == []

    async def test_gap(self, database: Database, clock: ManualClock) -> None:
        """Where somebody set an end by hand, a list that begins later is refused, and check says so."""
        await publish(database, clock, price_list("first"))
        async with database.write(SYSTEM) as session:
            await session.execute(update(PriceList).values(effective_to=TOMORROW))

        with pytest.raises(PriceListGap):
            await publish(
                database,
                clock,
                price_list("second", effective_from=TOMORROW + timedelta(seconds=1)),
            )
        assert len(await succession(database, clock)) == 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda prices: prices[1:],
            lambda prices: (*prices, prices[0]),
            lambda prices: (*prices, PriceIn("gpu_hours", "", UnitPrice(1, 1))),
        ],
        ids=["missing", "twice", "unknown"],
    )
    async def test_incomplete(self, database: Database, clock: ManualClock, change: object) -> None:
        """A list that does not price every meter exactly once is refused."""
        assert callable(change)
        whole = price_list()

        with pytest.raises(PriceListInvalid):
            await publish(database, clock, replace(whole, prices=change(whole.prices)))


class TestWithdraw:
    async def test_future_list(self, database: Database, clock: ManualClock) -> None:
        """A list that is not in force yet can be taken back, and the one before goes on."""
        await publish(database, clock, price_list("first"))
        future = await publish(database, clock, price_list("second", effective_from=TOMORROW))
        async with database.write(SYSTEM) as session:
            await PriceService(session, clock).withdraw(future)
        async with database.read(SYSTEM) as session:
            book = await PriceService(session, clock).book(TOMORROW)

        assert book.name == "first"
        assert await succession(database, clock) == []

    async def test_in_force(self, database: Database, clock: ManualClock) -> None:
        """A list in force stays, from its first moment on."""
        await publish(database, clock, price_list("first"))
        future = await publish(database, clock, price_list("second", effective_from=TOMORROW))
        clock.advance(24 * 3600)
        async with database.write(SYSTEM) as session:
            with pytest.raises(PriceListInForce):
                await PriceService(session, clock).withdraw(future)

    async def test_not_the_last(self, database: Database, clock: ManualClock) -> None:
        """A list that another follows is not taken out from between."""
        await publish(database, clock, price_list("first"))
        second = await publish(database, clock, price_list("second", effective_from=TOMORROW))
        await publish(
            database, clock, price_list("third", effective_from=TOMORROW + timedelta(days=1))
        )
        async with database.write(SYSTEM) as session:
            with pytest.raises(PriceListOverlap):
                await PriceService(session, clock).withdraw(second)

    async def test_unknown(self, database: Database, clock: ManualClock) -> None:
        """A list that there is not cannot be withdrawn."""
        async with database.write(SYSTEM) as session:
            with pytest.raises(PriceListNotFound):
                await PriceService(session, clock).withdraw("prl_none")


class TestRate:
    async def test_price_in_force_at_the_end(self, database: Database, clock: ManualClock) -> None:
        """A record is rated by the list in force when it ended, though it began under another."""
        change = NOON - timedelta(minutes=30)
        clock.advance(-24 * 3600)
        await publish(database, clock, price_list("first", default_nano=1_000_000))
        await publish(
            database,
            clock,
            price_list("second", effective_from=change, default_nano=2_000_000),
        )
        before = usage("a", started_at=START, ended_at=change - timedelta(microseconds=1))
        across = usage("b", started_at=START, ended_at=change)
        async with database.read(SYSTEM) as session:
            prices = PriceService(session, clock)

            assert await prices.rate(before) == Euro(100)
            assert await prices.rate(across) == Euro(200)

    async def test_own_price_first(self, database: Database, clock: ManualClock) -> None:
        """A model's own price comes before the default; another model has the default."""
        named = {("tokens_input", "mistral"): 5_000_000}
        await publish(database, clock, price_list(default_nano=1_000_000, named=named))
        async with database.read(SYSTEM) as session:
            prices = PriceService(session, clock)

            assert await prices.rate(usage("a", model="mistral")) == Euro(500)
            assert await prices.rate(usage("b", model="other")) == Euro(100)

    async def test_no_list(self, database: Database, clock: ManualClock) -> None:
        """Use from before the first list has no price, and rating says so."""
        await publish(database, clock, price_list())
        early = START - timedelta(days=1)
        async with database.read(SYSTEM) as session:
            with pytest.raises(PriceMissing):
                await PriceService(session, clock).rate(
                    usage("a", started_at=early, ended_at=early)
                )


class TestBook:
    async def test_token_prices(self, database: Database, clock: ManualClock) -> None:
        """The gateway's snapshot knows what a million tokens of any model cost."""
        named = {("tokens_input", "m"): 10, ("tokens_output", "m"): 30}
        await publish(database, clock, price_list(default_nano=7, named=named))
        async with database.read(SYSTEM) as session:
            book = price_book(await PriceService(session, clock).in_force(clock.now()))
        own, other = book.token_prices("m"), book.token_prices("never seen")

        assert (own.input_nano_per_million, own.output_nano_per_million) == (10, 30)
        assert own.cached_nano_per_million == 7
        assert other.input_nano_per_million == 7


class TestDocument:
    @pytest.mark.parametrize(
        ("text", "nano"),
        [
            ("0.018", 18_000_000),
            ("0", 0),
            ("2", 2 * 10**9),
            ("0.000000001", 1),
            ("12.5", 125 * 10**8),
        ],
    )
    def test_euro(self, text: str, nano: int) -> None:
        """An amount as text is read exactly."""
        assert parse_euro_nano(text) == nano

    @pytest.mark.parametrize(
        "text", ["-1", "1e3", "0.0000000001", "", "1.", ".5", "NaN", "1,5", 1.5, 1, None, "٣"]
    )
    def test_not_euro(self, text: object) -> None:
        """Anything but plain decimal text is refused: a float may have been rounded already."""
        with pytest.raises(ValueError, match="not an amount"):
            parse_euro_nano(text)

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("[", "not YAML"),
            ("- 1", "keys"),
            ("{name: a, effective_from: 2026-01-01T00:00:00Z, prices: {}, more: 1}", "keys"),
            ("{name: 1, effective_from: 2026-01-01T00:00:00Z, prices: {}}", "name"),
            ("{name: a, effective_from: soon, prices: {}}", "effective_from"),
            ("{name: a, effective_from: 2026-01-01T00:00:00, prices: {}}", "offset"),
            ("{name: a, effective_from: 2026-01-01T00:00:00Z, prices: []}", "prices"),
            (
                "{name: a, effective_from: 2026-01-01T00:00:00Z, prices: {gpu: '1'}}",
                "prices.gpu: no such meter",
            ),
            (
                "{name: a, effective_from: 2026-01-01T00:00:00Z, prices: {energy: {a: '1'}}}",
                "prices.energy: has one price",
            ),
            (
                "{name: a, effective_from: 2026-01-01T00:00:00Z, prices: {tokens_input: {m: 0.1}}}",
                "prices.tokens_input.m: 0.1 is not an amount",
            ),
        ],
    )
    def test_refused(self, text: str, place: str) -> None:
        """What is not understood is refused with its place and a hint."""
        with pytest.raises(PriceListInvalid, match=place) as refusal:
            read_price_list(text)
        assert refusal.value.hint
