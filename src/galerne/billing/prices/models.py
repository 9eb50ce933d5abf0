"""Tables of prices. Platform-wide: every tenant reads the same lists."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from galerne.billing.rating import DEFAULT_SELECTOR
from galerne.db.base import ID_LENGTH, Record
from galerne.db.types import UtcDateTime
from galerne.metering.meters import METERS, Selector

NAME_LENGTH_MAX = 100
SELECTOR_LENGTH_MAX = 200


class PriceList(Record):
    """Every price from one moment to the next list's. Only its end is ever set, by its successor."""

    __tablename__ = "price_lists"
    id_prefix = "prl"

    name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX), unique=True)
    effective_from: Mapped[datetime] = mapped_column(UtcDateTime, unique=True)
    effective_to: Mapped[datetime | None] = mapped_column(
        UtcDateTime
    )  # None: until further notice.
    prices: Mapped[list["Price"]] = relationship(lazy="raise", cascade="all, delete-orphan")


class Price(Record):
    """The price of one meter, for all or for one model or accelerator type. Never updated."""

    __tablename__ = "prices"
    __table_args__ = (UniqueConstraint("list_id", "meter", "selector"),)
    id_prefix = "prc"

    list_id: Mapped[str] = mapped_column(ForeignKey(PriceList.id))
    meter: Mapped[str] = mapped_column(String(ID_LENGTH))
    selector: Mapped[str] = mapped_column(String(SELECTOR_LENGTH_MAX))  # Empty: the default.
    per: Mapped[int] = mapped_column(BigInteger)  # Units of the meter that the price is for.
    price_nano: Mapped[int] = mapped_column(BigInteger)

    @property
    def model(self) -> str | None:
        return self._selected(Selector.MODEL)

    @property
    def accelerator_type(self) -> str | None:
        return self._selected(Selector.ACCELERATOR_TYPE)

    def _selected(self, selector: Selector) -> str | None:
        if self.selector == DEFAULT_SELECTOR or METERS[self.meter].selector is not selector:
            return None
        return self.selector
