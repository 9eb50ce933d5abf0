"""What capacity would cost, before anybody holds it: the code that bills, run on what would be used.

A quote takes it that the work uses all it asks for, for as long as it says: cores busy, memory full,
accelerators held. So it is the most that the work can cost and draw by the price list of the moment;
what is billed is what was used.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.billing.prices.book import PriceBook
from galerne.billing.prices.service import PriceService
from galerne.catalog.accelerators.service import canonical_name
from galerne.catalog.sites.models import Site
from galerne.catalog.sites.service import SiteService
from galerne.compute.admission import Quote, QuoteRequest
from galerne.kit.clock import Clock
from galerne.kit.money import Euro
from galerne.metering.compute import NANOSECONDS_PER_MILLISECOND, quantities
from galerne.metering.energy import ComputeUse, attribute
from galerne.metering.meters import divide_half_up

SECONDS_PER_HOUR = 3600
_MICROWATT_HOURS_PER_WATT_HOUR = 1_000_000
_MICROGRAMS_PER_MILLIGRAM = 1000


class PriceQuoter:
    """Implements `compute.admission.Quoter` by the price list in force."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def quote(self, session: AsyncSession, request: QuoteRequest) -> Quote:
        """Return the quote. Raises `PriceMissing` where no list is in force at `request.at`."""
        book = await PriceService(session, self._clock).book(request.at)
        site = await self._site(session, request.site_id)
        return quote(request, book, site)

    async def _site(self, session: AsyncSession, site_id: str | None) -> Site | None:
        return await SiteService(session, self._clock).get(site_id) if site_id else None


def quote(request: QuoteRequest, book: PriceBook, site: Site | None) -> Quote:
    """Price the request. Pure."""
    hour = use_of(request, seconds=SECONDS_PER_HOUR)
    duration = request.duration_seconds
    energy = attribute(hour, None, site=site, at=request.at)
    carbon = energy.carbon_micrograms
    return Quote(
        price_per_hour=price_of(hour, book),
        total=price_of(use_of(request, seconds=duration), book) if duration is not None else None,
        energy_watt_hours_per_hour=divide_half_up(
            energy.microwatt_hours, _MICROWATT_HOURS_PER_WATT_HOUR
        ),
        energy_method=energy.method,
        energy_note=f"if all of it is used: {energy.note}",
        carbon_milligrams_per_hour=(
            divide_half_up(carbon, _MICROGRAMS_PER_MILLIGRAM) if carbon is not None else None
        ),
        carbon_source=energy.carbon_source,
    )


def use_of(request: QuoteRequest, *, seconds: int) -> ComputeUse:
    """Return what the request would use in `seconds`, all nodes together, if it used everything."""
    node_seconds = request.nodes * seconds
    return ComputeUse(
        # A thousandth of a core for a second is a millisecond of CPU time.
        cpu_nanoseconds=request.cpu_millis * node_seconds * NANOSECONDS_PER_MILLISECOND,
        memory_byte_seconds=request.memory_bytes * node_seconds,
        accelerator_milliseconds=request.accelerators * node_seconds * 1000,
        accelerator_type=canonical_name(request.accelerator_type or "") or None,
    )


def price_of(use: ComputeUse, book: PriceBook) -> Euro:
    """Rate the usage records that `use` would leave behind, one for each meter, and sum them."""
    rated = (
        book.rate(meter, quantity, accelerator_type=use.accelerator_type)
        for meter, quantity in quantities(use).items()
    )
    return sum(rated, Euro(0))
