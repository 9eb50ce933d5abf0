"""Publishing price lists, and rating by them. There is one list for every moment since the first."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from itertools import pairwise
from typing import Protocol

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.billing.prices.book import PriceBook
from galerne.billing.prices.document import read_price_list
from galerne.billing.prices.errors import (
    PriceListGap,
    PriceListInForce,
    PriceListInvalid,
    PriceListNotFound,
    PriceListOverlap,
    PriceListRetroactive,
    PriceMissing,
)
from galerne.billing.prices.models import NAME_LENGTH_MAX, Price, PriceList
from galerne.billing.prices.repository import PriceListRepository
from galerne.billing.prices.schemas import PriceIn, PriceListIn
from galerne.billing.rating import DEFAULT_SELECTOR, UnitPrice
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id
from galerne.kit.money import Euro
from galerne.metering.meters import METERS, Selector


class Rateable(Protocol):
    """What rating reads of a usage record."""

    @property
    def meter(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def ended_at(self) -> datetime: ...
    @property
    def model(self) -> str | None: ...
    @property
    def accelerator_type(self) -> str | None: ...


class PriceService:
    """Price lists: published ahead, never changed once in force."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._lists = PriceListRepository(session)
        self._book: PriceBook | None = None

    async def ensure_default(self) -> None:
        """Publish the list that ships with the package where there is none yet. Idempotent."""
        if await self._lists.latest() is not None:
            return
        try:
            async with self._session.begin_nested():
                self._add(default_price_list())
        except IntegrityError:
            # Another process published it since we looked.
            return

    async def publish(self, stated: PriceListIn) -> PriceList:
        """Add a list that follows the last one, which it ends. The only way prices change."""
        _check_prices(stated)
        if await self._lists.is_named(stated.name):
            raise PriceListInvalid(
                f"there is a price list {stated.name}", hint="give this one another name"
            )
        last = await self._lists.latest()
        if last is not None:
            self._check_succession(stated, last)
            last.effective_to = stated.effective_from
        return self._add(stated)

    async def withdraw(self, list_id: str) -> None:
        """Take back a list that is not in force yet; the one before it goes on."""
        withdrawn = await self._lists.with_prices(list_id)
        if withdrawn is None:
            raise PriceListNotFound(f"there is no price list {list_id}", hint="see GET /prices")
        if withdrawn.effective_from <= self._clock.now():
            raise PriceListInForce(
                f"the price list {withdrawn.name} has been in force",
                hint="use was rated by it; publish another list for the time to come",
            )
        if withdrawn.effective_to is not None:
            raise PriceListOverlap(
                f"another list follows {withdrawn.name}", hint="withdraw the last one first"
            )
        before = await self._lists.ending_at(withdrawn.effective_from)
        await self._session.delete(withdrawn)
        await self._session.flush()
        if before is not None:
            before.effective_to = None

    async def in_force(self, at: datetime) -> PriceList:
        """Return the list of that moment, with its prices. Raises `PriceMissing`."""
        found = await self._lists.in_force(at)
        if found is None:
            raise PriceMissing(
                f"no price list was in force at {at.isoformat()}",
                hint="prices begin with the first list; ask for a later time",
            )
        return found

    async def book(self, at: datetime) -> PriceBook:
        """Return the prices of that moment as an immutable value. Raises `PriceMissing`."""
        if self._book is None or not self._book.is_in_force(at):
            self._book = price_book(await self.in_force(at))
        return self._book

    async def rate(self, record: Rateable) -> Euro:
        """Rate one usage record by the list in force when it ended. Raises `PriceMissing`."""
        book = await self.book(record.ended_at)
        return book.rate(
            record.meter,
            record.quantity,
            model=record.model,
            accelerator_type=record.accelerator_type,
        )

    async def check(self) -> list[str]:
        """Return what is wrong with the succession of lists: nothing, unless somebody edited it."""
        lists = await self._lists.all()
        if not lists:
            return ["there is no price list"]
        wrong = [
            f"{before.name} ends at {before.effective_to} and {after.name} begins at"
            f" {after.effective_from}"
            for before, after in pairwise(lists)
            if before.effective_to != after.effective_from
        ]
        if lists[-1].effective_to is not None:
            wrong.append(f"the last list, {lists[-1].name}, ends at {lists[-1].effective_to}")
        return wrong

    def _check_succession(self, stated: PriceListIn, last: PriceList) -> None:
        if stated.effective_from <= last.effective_from:
            raise PriceListOverlap(
                f"{stated.name} would begin before {last.name}, which stands",
                hint=f"begin after {last.effective_from.isoformat()}, or withdraw {last.name}",
            )
        if last.effective_to not in {None, stated.effective_from}:
            raise PriceListGap(
                f"{last.name} ends at {last.effective_to}, and {stated.name} begins at another time",
                hint="begin exactly when the last list ends",
            )
        if stated.effective_from < self._clock.now():
            raise PriceListRetroactive(
                f"{stated.name} would begin in the past",
                hint="use that has ended is rated by the list that was in force then",
            )

    def _add(self, stated: PriceListIn) -> PriceList:
        now = self._clock.now()
        added = PriceList(
            id=new_id(PriceList.id_prefix),
            created_at=now,
            name=stated.name,
            effective_from=stated.effective_from,
            effective_to=None,
        )
        added.prices = [
            Price(
                id=new_id(Price.id_prefix),
                created_at=now,
                meter=each.meter,
                selector=each.selector,
                per=each.price.per,
                price_nano=each.price.price_nano,
            )
            for each in stated.prices
        ]
        return self._lists.add(added)


def default_price_list() -> PriceListIn:
    """Read the list that ships with the package."""
    text = resources.files("galerne.billing.prices").joinpath("default.yaml").read_text("utf-8")
    return read_price_list(text)


def price_book(listed: PriceList) -> PriceBook:
    """Return the list as an immutable value."""
    return PriceBook(
        list_id=listed.id,
        name=listed.name,
        effective_from=listed.effective_from,
        effective_to=listed.effective_to,
        prices={
            (each.meter, each.selector): UnitPrice(each.price_nano, each.per)
            for each in listed.prices
        },
    )


def _check_prices(stated: PriceListIn) -> None:
    if not 0 < len(stated.name) <= NAME_LENGTH_MAX:
        raise PriceListInvalid(
            f"a price list's name has 1 to {NAME_LENGTH_MAX} characters", hint="as 2027-q1"
        )
    unknown = sorted({each.meter for each in stated.prices} - METERS.keys())
    if unknown:
        raise PriceListInvalid(
            f"there is no meter {', '.join(unknown)}", hint=f"the meters are {', '.join(METERS)}"
        )
    missing = sorted(METERS.keys() - _with_default(stated.prices))
    if missing:
        raise PriceListInvalid(
            f"the list has no default price for {', '.join(missing)}",
            hint="state one, if need be of 0: every use must have a price",
        )
    _check_selectors(stated.prices)


def _with_default(prices: Sequence[PriceIn]) -> set[str]:
    return {each.meter for each in prices if each.selector == DEFAULT_SELECTOR}


def _check_selectors(prices: Sequence[PriceIn]) -> None:
    counted = Counter((each.meter, each.selector) for each in prices)
    for (meter, selector), times in counted.items():
        if times > 1:
            raise PriceListInvalid(
                f"{meter} {selector} has {times} prices".replace("  ", " "), hint="leave one"
            )
        if selector != DEFAULT_SELECTOR and METERS[meter].selector is Selector.NONE:
            raise PriceListInvalid(
                f"{meter} has one price, not one for {selector}", hint="leave the default"
            )
