"""Every statement on price lists and prices."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from galerne.billing.prices.models import PriceList
from galerne.db.repository import Repository


class PriceListRepository(Repository[PriceList]):
    """Price lists with their prices."""

    model = PriceList

    async def in_force(self, at: datetime) -> PriceList | None:
        statement = (
            select(PriceList)
            .where(
                PriceList.effective_from <= at,
                or_(PriceList.effective_to.is_(None), PriceList.effective_to > at),
            )
            .options(selectinload(PriceList.prices))
        )
        return await self.session.scalar(statement)

    async def latest(self) -> PriceList | None:
        """Return the list that begins last, locked: whoever follows it must be the only one."""
        statement = (
            select(PriceList).order_by(PriceList.effective_from.desc()).limit(1).with_for_update()
        )
        return await self.session.scalar(statement)

    async def with_prices(self, list_id: str) -> PriceList | None:
        statement = (
            select(PriceList).where(PriceList.id == list_id).options(selectinload(PriceList.prices))
        )
        return await self.session.scalar(statement)

    async def is_named(self, name: str) -> bool:
        found = await self.session.scalar(select(PriceList.id).where(PriceList.name == name))
        return found is not None

    async def ending_at(self, moment: datetime) -> PriceList | None:
        return await self.session.scalar(
            select(PriceList).where(PriceList.effective_to == moment).with_for_update()
        )

    async def all(self) -> Sequence[PriceList]:
        """Return every list in order of time, without prices."""
        statement = select(PriceList).order_by(PriceList.effective_from)
        return (await self.session.scalars(statement)).all()
