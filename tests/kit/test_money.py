"""Money is integers of nano-euro, in 64 bits, rounded where it is said and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.kit.money import AMOUNT_NANO_MAX, NANO_PER_CENT, Euro, rate

amounts = st.integers(1 - 2**62, 2**62 - 1)  # Two of them add up within the bound.


class TestEuro:
    @given(amounts, amounts)
    def test_addition(self, one: int, other: int) -> None:
        """Amounts add as their integers do, and what was added can be taken away again."""
        assert Euro(one) + Euro(other) == Euro(one + other)
        assert Euro(one) + Euro(other) - Euro(other) == Euro(one)
        assert Euro(one) - Euro(one) == Euro(0)
        assert -Euro(one) == Euro(0) - Euro(one)

    @given(amounts, amounts)
    def test_order(self, one: int, other: int) -> None:
        """Amounts are ordered as their integers are."""
        assert (Euro(one) < Euro(other)) == (one < other)

    @pytest.mark.parametrize("amount", [1.0, "1", True, None])
    def test_only_integers(self, amount: object) -> None:
        """Nothing but an integer is an amount."""
        with pytest.raises(TypeError):
            Euro(amount)  # type: ignore[arg-type]  # what the test is about

    @pytest.mark.parametrize("amount", [AMOUNT_NANO_MAX + 1, -AMOUNT_NANO_MAX - 1])
    def test_64_bits(self, amount: int) -> None:
        """What a database could not keep is refused, also as the result of a sum."""
        with pytest.raises(OverflowError):
            Euro(amount)
        with pytest.raises(OverflowError):
            Euro(AMOUNT_NANO_MAX) + Euro(1)

    @given(st.integers(-AMOUNT_NANO_MAX, AMOUNT_NANO_MAX))
    def test_text(self, nano: int) -> None:
        """An amount is spelt with all nine decimals: the spelling says it exactly."""
        number, currency = str(Euro(nano)).split(" ")

        assert currency == "EUR"
        assert int(number.replace(".", "")) == nano


class TestCents:
    @pytest.mark.parametrize(
        ("nano", "cents"),
        [
            (0, 0),
            (4_999_999, 0),
            (5_000_000, 1),
            (-4_999_999, 0),
            (-5_000_000, -1),
            (15_000_000, 2),
        ],
    )
    def test_half_away_from_zero(self, nano: int, cents: int) -> None:
        """Half a cent is rounded away from zero, for credits as for charges."""
        assert Euro(nano).cents() == cents

    @given(st.integers(-AMOUNT_NANO_MAX, AMOUNT_NANO_MAX))
    def test_near(self, nano: int) -> None:
        """Rounding moves an amount by at most half a cent, and a credit as far as a charge."""
        cents = Euro(nano).cents()

        assert 2 * abs(cents * NANO_PER_CENT - nano) <= NANO_PER_CENT
        assert Euro(-nano).cents() == -cents


class TestRate:
    @given(
        st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**7)
    )
    def test_sum_of_rates(self, one: int, other: int, price_nano: int, per: int) -> None:
        """Two quantities rated apart differ from both rated at once by at most a nano-euro."""
        apart = rate(one, price_nano=price_nano, per=per) + rate(
            other, price_nano=price_nano, per=per
        )
        together = rate(one + other, price_nano=price_nano, per=per)

        assert abs(apart.nano - together.nano) <= 1

    @given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**7))
    def test_half_up(self, quantity: int, price_nano: int, per: int) -> None:
        """The rated amount is off by at most half a nano-euro, and exactly half goes up."""
        rest = quantity * price_nano - rate(quantity, price_nano=price_nano, per=per).nano * per

        assert -per <= 2 * rest < per

    @pytest.mark.parametrize(("quantity", "price_nano", "per"), [(-1, 1, 1), (1, -1, 1), (1, 1, 0)])
    def test_impossible(self, quantity: int, price_nano: int, per: int) -> None:
        """Negative use, a negative price and a price for nothing are bugs."""
        with pytest.raises(ValueError, match="not negative"):
            rate(quantity, price_nano=price_nano, per=per)
