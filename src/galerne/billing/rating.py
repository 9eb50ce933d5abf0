"""The one rule by which use becomes money, in Python and in SQL.

1. A usage record is rated by itself: quantity times price, divided by what the price is for, rounded
   half up to the nano-euro (10⁻⁹ €). That is the only rounding before an invoice's cents.
2. Its price is that of the list in force when the record ended. A list is in force from its first
   moment, included, to the first moment of the next.
3. Within the list, the price for the record's own model or accelerator type comes before the
   meter's default.
4. Whatever is shown of several records (a summary, later an invoice line) is the sum of their rated
   amounts. So it does not depend on how records are grouped, and no nano-euro is made or lost.
5. A quote rates the records that the work would leave behind if it used all it asks for.

The rounded product is split, so that neither database leaves 64-bit integers and SQLite never falls
back to floats: with quantity = whole·per + rest, the amount is whole·price plus the rounded rest·price
over per, exactly. Databases sum the whole parts and the rounded rests; the product is Python's.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, case, literal
from sqlalchemy.orm import InstrumentedAttribute

from galerne.kit.money import Euro, rate
from galerne.metering.meters import METERS, Selector

INTEGER_MAX = 2**63 - 1
DEFAULT_SELECTOR = ""


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """So many nano-euro for so many units of a meter."""

    price_nano: int
    per: int

    def __post_init__(self) -> None:
        if self.price_nano < 0 or self.per <= 0:
            raise ValueError("a price is not negative, and is for at least one unit")
        if self.per * (2 * self.price_nano + 1) > INTEGER_MAX:
            raise ValueError("the price is too large to be rated in 64-bit integers")

    def rate(self, quantity: int) -> Euro:
        """Rate one usage record."""
        return rate(quantity, price_nano=self.price_nano, per=self.per)

    def rate_parts(self, *, wholes: int, rounded_rests: int) -> int:
        """Join what the database summed over records of this price: their amounts, in nano-euro."""
        return wholes * self.price_nano + rounded_rests


def whole_part(
    quantity: ColumnElement[int] | InstrumentedAttribute[int], per: ColumnElement[int]
) -> ColumnElement[int]:
    """Say in SQL how often `per` goes into the quantity of one record."""
    return quantity // per


def rounded_rest(
    quantity: ColumnElement[int] | InstrumentedAttribute[int],
    *,
    price_nano: ColumnElement[int],
    per: ColumnElement[int],
) -> ColumnElement[int]:
    """Say in SQL what the rest of one record's quantity costs, rounded half up."""
    two = literal(2, BigInteger)
    return (two * (quantity % per) * price_nano + per) // (two * per)


def selector_of(
    meter: str, *, model: str | None = None, accelerator_type: str | None = None
) -> str:
    """Return the attribute by which the meter's price is chosen, as price lists spell it."""
    match METERS[meter].selector:
        case Selector.MODEL:
            return model or DEFAULT_SELECTOR
        case Selector.ACCELERATOR_TYPE:
            return accelerator_type or DEFAULT_SELECTOR
        case Selector.NONE:
            return DEFAULT_SELECTOR


def selector_column(
    meter: InstrumentedAttribute[str],
    *,
    model: InstrumentedAttribute[str | None],
    accelerator_type: InstrumentedAttribute[str | None],
) -> ColumnElement[str | None]:
    """Say `selector_of` in SQL."""
    names: dict[Selector, list[str]] = {selector: [] for selector in Selector}
    for each in METERS.values():
        names[each.selector].append(each.name)
    return case(
        (meter.in_(names[Selector.MODEL]), model),
        (meter.in_(names[Selector.ACCELERATOR_TYPE]), accelerator_type),
        else_=DEFAULT_SELECTOR,
    )
