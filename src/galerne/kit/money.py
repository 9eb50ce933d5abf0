"""Euro as integers. A rate or a rated quantity is in nano-euro (10⁻⁹ €), an invoice in cents.

Floats and decimals never hold money: SQLite would round them silently.
"""

from dataclasses import dataclass
from typing import Self

NANO_PER_EURO = 1_000_000_000
NANO_PER_CENT = 10_000_000
AMOUNT_NANO_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Euro:
    """An amount of euro, exact to the nano-euro; negative amounts are credits."""

    nano: int

    def __post_init__(self) -> None:
        if type(self.nano) is not int:
            raise TypeError("an amount is an integer number of nano-euro")
        if abs(self.nano) > AMOUNT_NANO_MAX:
            raise OverflowError("an amount fits in a signed 64-bit integer of nano-euro")

    def __add__(self, other: Self) -> "Euro":
        return Euro(self.nano + other.nano)

    def __sub__(self, other: Self) -> "Euro":
        return Euro(self.nano - other.nano)

    def __neg__(self) -> "Euro":
        return Euro(-self.nano)

    def __str__(self) -> str:
        sign = "-" if self.nano < 0 else ""
        whole, fraction = divmod(abs(self.nano), NANO_PER_EURO)
        return f"{sign}{whole}.{fraction:09d} EUR"

    def cents(self) -> int:
        """Round to cents, half away from zero: once, at the end of an invoice."""
        cents, rest = divmod(abs(self.nano), NANO_PER_CENT)
        cents += 2 * rest >= NANO_PER_CENT
        return -cents if self.nano < 0 else cents


def rate(quantity: int, *, price_nano: int, per: int) -> Euro:
    """Price `quantity` units at `price_nano` for each `per` units, rounded half up once.

    >>> rate(1_500_000, price_nano=200_000_000, per=1_000_000)
    Euro(nano=300000000)
    """
    if quantity < 0 or price_nano < 0 or per <= 0:
        raise ValueError("quantities and prices are not negative, and `per` is positive")
    return Euro((2 * quantity * price_nano + per) // (2 * per))
