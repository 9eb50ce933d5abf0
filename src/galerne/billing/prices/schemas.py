"""A price list as it is handed in, and as the API shows it."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel

from galerne.billing.rating import UnitPrice
from galerne.rest.money import Money


@dataclass(frozen=True, slots=True)
class PriceIn:
    """The price of one meter; an empty selector is the meter's default."""

    meter: str
    selector: str
    price: UnitPrice


@dataclass(frozen=True, slots=True)
class PriceListIn:
    """A whole list: it prices every meter, from one moment until the next list."""

    name: str
    effective_from: datetime
    prices: tuple[PriceIn, ...]


class PriceOut(BaseModel):
    """The price of one meter, for one model or accelerator type or, with neither, for all others."""

    meter: str
    model: str | None
    accelerator_type: str | None
    unit: str
    per: int
    per_text: str
    price: Money


class PriceListOut(BaseModel):
    """Every price in force at one moment."""

    id: str
    name: str
    effective_from: datetime
    effective_to: datetime | None
    prices: list[PriceOut]
