"""The one statement that joins usage and prices. It only reads: both tables have their own folders.

Each record is rated by itself, as `billing.rating` has it, and only then summed. So the database
returns one line for each price that was used in a group, however many records it took.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Subquery, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from galerne.billing.costs.lines import CostFilter, CostLine, GroupBy
from galerne.billing.prices.models import Price, PriceList
from galerne.billing.rating import DEFAULT_SELECTOR, rounded_rest, selector_column, whole_part
from galerne.metering.usage.models import UsageRecord

# Stands for `per` where no list was in force, so that a sum of quantities stays in 64 bits there too.
_UNPRICED_PER = 2**31


class CostRepository:
    """Sums of rated usage."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lines(self, group_by: GroupBy, wanted: CostFilter) -> Sequence[CostLine]:
        rated = self._rated(group_by, wanted)
        keys = [
            rated.c[name]
            for name in ("key", "meter", "price_nano", "per", "energy_method", "carbon_source")
        ]
        sums = [
            func.coalesce(func.sum(rated.c[name]), 0)
            for name in (
                "whole",
                "rest",
                "rounded_rest",
                "energy_microwatt_hours",
                "carbon_micrograms",
            )
        ]
        statement = select(*keys, func.count(), *sums).group_by(*keys)
        rows = await self._session.execute(statement)
        # PostgreSQL sums 64-bit integers into decimals without a fraction.
        return [CostLine(*row[:6], *map(int, row[6:])) for row in rows]

    def _rated(self, group_by: GroupBy, wanted: CostFilter) -> Subquery:
        """Select each record with its price and its rated parts."""
        own, default = aliased(Price), aliased(Price)
        selector = selector_column(
            UsageRecord.meter,
            model=UsageRecord.model,
            accelerator_type=UsageRecord.accelerator_type,
        )
        price_nano = func.coalesce(own.price_nano, default.price_nano)
        per = func.coalesce(own.per, default.per, literal(_UNPRICED_PER, BigInteger))
        return (
            select(
                self._key(group_by).label("key"),
                UsageRecord.meter,
                price_nano.label("price_nano"),
                per.label("per"),
                UsageRecord.energy_method,
                UsageRecord.carbon_source,
                whole_part(UsageRecord.quantity, per).label("whole"),
                (UsageRecord.quantity % per).label("rest"),
                rounded_rest(UsageRecord.quantity, price_nano=price_nano, per=per).label(
                    "rounded_rest"
                ),
                UsageRecord.energy_microwatt_hours,
                UsageRecord.carbon_micrograms,
            )
            .outerjoin(PriceList, _is_in_force_at(UsageRecord.ended_at))
            .outerjoin(own, _is_price(own, selector))
            .outerjoin(default, _is_price(default, literal(DEFAULT_SELECTOR)))
            .where(*_conditions(wanted))
            .subquery()
        )

    def _key(self, group_by: GroupBy) -> ColumnElement[Any]:
        match group_by:
            case GroupBy.WORKLOAD:
                return UsageRecord.workload_id.expression
            case GroupBy.MODEL:
                return UsageRecord.model.expression
            case GroupBy.METER:
                return UsageRecord.meter.expression
            case GroupBy.PROJECT:
                return UsageRecord.project_id.expression
            case GroupBy.DAY:
                return self._day()

    def _day(self) -> ColumnElement[Any]:
        if self._session.get_bind().dialect.name == "postgresql":
            return func.to_char(func.timezone("UTC", UsageRecord.ended_at), "YYYY-MM-DD")
        # SQLite keeps times as text in UTC.
        return func.date(UsageRecord.ended_at)


def _is_in_force_at(moment: Any) -> ColumnElement[bool]:
    return and_(
        PriceList.effective_from <= moment,
        or_(PriceList.effective_to.is_(None), PriceList.effective_to > moment),
    )


def _is_price(price: type[Price], selector: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(
        price.list_id == PriceList.id,
        price.meter == UsageRecord.meter,
        price.selector == selector,
    )


def _conditions(wanted: CostFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.project_id is not None:
        conditions.append(UsageRecord.project_id == wanted.project_id)
    if wanted.since is not None:
        conditions.append(UsageRecord.ended_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(UsageRecord.ended_at < wanted.until)
    return conditions
