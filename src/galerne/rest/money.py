"""Money in answers: an integer and its currency, never a float."""

from typing import Literal

from pydantic import BaseModel

from galerne.kit.money import Euro


class Money(BaseModel):
    """An amount in nano-euro (10⁻⁹ €)."""

    amount_nano: int
    currency: Literal["EUR"]


def money(amount: Euro) -> Money:
    return Money(amount_nano=amount.nano, currency="EUR")
