"""The one rule of rating: half up, once, for each record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.billing.rating import INTEGER_MAX, UnitPrice, selector_of
from galerne.kit.money import Euro
from galerne.metering.meters import METERS, Selector
from galerne.metering.usage.validation import QUANTITY_MAX


class TestUnitPrice:
    def test_half_up(self) -> None:
        """Half a nano-euro is rounded up, less than half down."""
        price = UnitPrice(price_nano=1, per=2)

        assert price.rate(0) == Euro(0)
        assert price.rate(1) == Euro(1)
        assert UnitPrice(1, 3).rate(1) == Euro(0)
        assert UnitPrice(2, 3).rate(1) == Euro(1)

    def test_an_hour_costs_its_price(self) -> None:
        """A whole unit costs exactly what the list says."""
        for meter in METERS.values():
            assert UnitPrice(123_456_789, meter.scale).rate(meter.scale) == Euro(123_456_789)

    @pytest.mark.parametrize(("price_nano", "per"), [(-1, 1), (1, 0), (1, -1)])
    def test_impossible(self, price_nano: int, per: int) -> None:
        """A negative price, and a price for nothing, are bugs."""
        with pytest.raises(ValueError, match="price"):
            UnitPrice(price_nano, per)

    def test_too_large(self) -> None:
        """A price that a database could not multiply in 64 bits is refused when it is made."""
        largest = (INTEGER_MAX // 3_600_000 - 1) // 2
        UnitPrice(largest, 3_600_000)

        with pytest.raises(ValueError, match="too large"):
            UnitPrice(largest + 1, 3_600_000)


@given(
    quantity=st.integers(0, QUANTITY_MAX),
    price_nano=st.integers(0, 10**12),
    per=st.sampled_from([1, 2, 3, 7, 1_000_000, 3_600_000, 3_686_400]),
)
def test_parts(quantity: int, price_nano: int, per: int) -> None:
    """Whole part and rounded rest join to what rating the record at once gives, without a remainder."""
    rest = quantity % per
    rounded_rest = (2 * rest * price_nano + per) // (2 * per)
    parts = UnitPrice(price_nano, per).rate_parts(
        wholes=quantity // per, rounded_rests=rounded_rest
    )

    assert parts == (2 * quantity * price_nano + per) // (2 * per)


@pytest.mark.parametrize(
    ("meter", "selector"), [(meter.name, meter.selector) for meter in METERS.values()]
)
def test_selector(meter: str, selector: Selector) -> None:
    """The price of a meter depends on the attribute that its table names, and on no other."""
    chosen = selector_of(meter, model="m", accelerator_type="B200")

    assert chosen == {"none": "", "model": "m", "accelerator_type": "B200"}[selector]
    assert selector_of(meter) == ""
