"""A price list in memory: immutable, and enough to rate anything. The gateway's snapshot holds one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from galerne.billing.rating import DEFAULT_SELECTOR, UnitPrice, selector_of
from galerne.kit.money import Euro
from galerne.metering.meters import TOKENS_CACHED, TOKENS_INPUT, TOKENS_OUTPUT


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """What a million tokens of one model cost, in nano-euro."""

    input_nano_per_million: int
    cached_nano_per_million: int
    output_nano_per_million: int


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The prices of one list, by meter and selector."""

    list_id: str
    name: str
    effective_from: datetime
    effective_to: datetime | None
    prices: Mapping[tuple[str, str], UnitPrice]

    def is_in_force(self, at: datetime) -> bool:
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)

    def price_of(
        self, meter: str, *, model: str | None = None, accelerator_type: str | None = None
    ) -> UnitPrice:
        """Return the price of the record's own model or accelerator type, else the default."""
        selector = selector_of(meter, model=model, accelerator_type=accelerator_type)
        own = self.prices.get((meter, selector))
        return own if own is not None else self.prices[meter, DEFAULT_SELECTOR]

    def rate(
        self,
        meter: str,
        quantity: int,
        *,
        model: str | None = None,
        accelerator_type: str | None = None,
    ) -> Euro:
        """Rate one usage record."""
        price = self.price_of(meter, model=model, accelerator_type=accelerator_type)
        return price.rate(quantity)

    def token_prices(self, model: str) -> TokenPrices:
        return TokenPrices(
            *(
                self.price_of(meter.name, model=model).rate(1_000_000).nano
                for meter in (TOKENS_INPUT, TOKENS_CACHED, TOKENS_OUTPUT)
            )
        )
