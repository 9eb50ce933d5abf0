"""Builds price lists for tests: every meter at a price of its own, with what the test changes."""

from datetime import UTC, datetime

from galerne.billing.prices.schemas import PriceIn, PriceListIn
from galerne.billing.rating import DEFAULT_SELECTOR, UnitPrice
from galerne.metering.meters import METERS

START = datetime(2026, 1, 1, tzinfo=UTC)


def price_list(
    name: str = "first",
    *,
    effective_from: datetime = START,
    default_nano: int = 1_000_000_000,
    named: dict[tuple[str, str], int] | None = None,
) -> PriceListIn:
    """Return a list of one price for all meters, and of others by meter and selector."""
    prices = {(meter, DEFAULT_SELECTOR): default_nano for meter in METERS} | (named or {})
    return PriceListIn(
        name,
        effective_from,
        tuple(
            PriceIn(meter, selector, UnitPrice(price_nano, METERS[meter].scale))
            for (meter, selector), price_nano in prices.items()
        ),
    )
