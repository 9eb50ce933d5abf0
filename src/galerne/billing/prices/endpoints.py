"""`GET /prices`: what everything costs, now or at another time."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from galerne.billing.prices.auth import PricesRead
from galerne.billing.prices.models import Price, PriceList
from galerne.billing.prices.schemas import PriceListOut, PriceOut
from galerne.billing.prices.service import PriceService
from galerne.kit.money import Euro
from galerne.metering.meters import METERS
from galerne.rest.money import money
from galerne.rest.provide import context_of, provided
from galerne.rest.route import TransactionalRoute
from galerne.rest.times import UtcTime

router = APIRouter(prefix="/prices", tags=["prices"], route_class=TransactionalRoute)


@router.get("")
async def get_prices(
    request: Request,
    _: PricesRead,
    prices: Annotated[PriceService, Depends(provided(PriceService))],
    at: Annotated[UtcTime | None, Query(description="RFC 3339; now if left out.")] = None,
) -> PriceListOut:
    """Show the price list in force."""
    return _shown(await prices.in_force(at or context_of(request).clock.now()))


def _shown(listed: PriceList) -> PriceListOut:
    ordered = sorted(listed.prices, key=lambda each: (each.meter, each.selector))
    return PriceListOut(
        id=listed.id,
        name=listed.name,
        effective_from=listed.effective_from,
        effective_to=listed.effective_to,
        prices=[_shown_price(each) for each in ordered],
    )


def _shown_price(price: Price) -> PriceOut:
    meter = METERS[price.meter]
    return PriceOut(
        meter=price.meter,
        model=price.model,
        accelerator_type=price.accelerator_type,
        unit=meter.unit,
        per=price.per,
        per_text=meter.text(price.per),
        price=money(Euro(price.price_nano)),
    )
