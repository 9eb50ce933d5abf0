"""The table of meters, and the rounding of quantities."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.db.base import ID_LENGTH
from galerne.metering.meters import METERS, divide_half_up


@pytest.mark.parametrize(
    ("meter", "quantity", "text"),
    [
        ("cpu_milliseconds", 4_500_000, "1.25 CPU-h"),
        ("memory_mebibyte_seconds", 1024 * 3600, "1 GiB-h"),
        ("tokens_input", 1_234_567, "1.235 M tokens"),
        ("requests", 1500, "1,500 requests"),
        ("energy", 1_500_000, "1.5 Wh"),
        ("energy", 0, "0 Wh"),
    ],
)
def test_text(meter: str, quantity: int, text: str) -> None:
    """A quantity prints in the unit that people use, to three decimals."""
    assert METERS[meter].text(quantity) == text


def test_names_fit() -> None:
    """Names and units fit their columns, and each meter stands under its own name."""
    for name, meter in METERS.items():
        assert name == meter.name
        assert max(len(name), len(meter.unit)) <= ID_LENGTH


@given(st.integers(0, 2**80), st.integers(1, 2**40))
def test_divide_half_up(numerator: int, denominator: int) -> None:
    """The quotient is off by at most half, and exactly half goes up."""
    rest = numerator - divide_half_up(numerator, denominator) * denominator

    assert -denominator <= 2 * rest < denominator
