"""Sizes and durations as people write them become the integers that they say."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.kit.units import (
    DURATION_SECONDS_MAX,
    format_bytes,
    format_duration,
    parse_duration_seconds,
    parse_size_bytes,
)


class TestSize:
    @pytest.mark.parametrize(
        ("text", "size_bytes"),
        [
            ("0B", 0),
            ("1B", 1),
            ("1k", 1000),
            ("1KB", 1000),
            ("1KiB", 1024),
            ("512MB", 512_000_000),
            ("4GiB", 4 * 2**30),
            ("1.5GB", 1_500_000_000),
            ("0.5 MiB", 524_288),
            (" 2tb ", 2 * 10**12),
            ("1PiB", 2**50),
        ],
    )
    def test_read(self, text: str, size_bytes: int) -> None:
        """Decimal and binary units are told apart, in any case and with a space."""
        assert parse_size_bytes(text) == size_bytes

    @pytest.mark.parametrize(
        "text",
        ["", "4", "GB", "-1GB", "1e3B", "4 GBB", "1.GB", ".5GB", "1,5GB", "1.1234567GB", "4Gb/s"],
    )
    def test_not_a_size(self, text: str) -> None:
        """Anything else is refused, and the error shows how to write one."""
        with pytest.raises(ValueError, match="512MB or 4GiB"):
            parse_size_bytes(text)

    @given(
        st.integers(0, 10**6),
        st.integers(0, 999_999),
        st.sampled_from([("kB", 1000), ("MB", 1000**2), ("GiB", 1024**3), ("TiB", 1024**4)]),
    )
    def test_exact(self, whole: int, millionths: int, unit: tuple[str, int]) -> None:
        """A size with decimals is the exact product, rounded down to a byte."""
        name, factor = unit

        assert parse_size_bytes(f"{whole}.{millionths:06d}{name}") == int(
            Decimal(f"{whole}.{millionths:06d}") * factor
        )

    @pytest.mark.parametrize(
        ("size_bytes", "text"),
        [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_500_000, "1.5 MB"),
            (10**18, "1000.0 PB"),
        ],
    )
    def test_format(self, size_bytes: int, text: str) -> None:
        """A size prints in the largest unit that leaves a whole one."""
        assert format_bytes(size_bytes) == text


class TestDuration:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("1d1h1m1s", 90_061)],
    )
    def test_read(self, text: str, seconds: int) -> None:
        """A duration is the sum of its parts."""
        assert parse_duration_seconds(text) == seconds

    @pytest.mark.parametrize("text", ["", "10", "0s", "-1s", "1m1h", "1.5h", "367d", "1w", "h"])
    def test_not_a_duration(self, text: str) -> None:
        """Anything else, nothing and more than a year are refused."""
        with pytest.raises(ValueError, match=r"duration|outside"):
            parse_duration_seconds(text)

    @given(st.integers(0, 365), st.integers(0, 23), st.integers(0, 59), st.integers(1, 59))
    def test_parts(self, days: int, hours: int, minutes: int, seconds: int) -> None:
        """Whatever the parts, the sum is exact and within the bound."""
        total = parse_duration_seconds(f"{days}d{hours}h{minutes}m{seconds}s")

        assert total == ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        assert 0 < total <= DURATION_SECONDS_MAX

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0s"),
            (59.4, "59s"),
            (59.6, "1m 00s"),
            (150, "2m 30s"),
            (3599.9, "1h 00m"),
            (3900, "1h 05m"),
        ],
    )
    def test_format(self, seconds: float, text: str) -> None:
        """A duration prints with at most two units."""
        assert format_duration(seconds) == text
