"""Accelerator types: whole, sourced, found by any spelling."""

import pytest

from galerne.catalog.accelerators.errors import UnknownAccelerator
from galerne.catalog.accelerators.service import (
    accelerator_type,
    accelerator_types,
    canonical_name,
)


class TestData:
    def test_every_type_has_a_source_and_sane_figures(self) -> None:
        """No figure stands without saying where it is from."""
        for found in accelerator_types().values():
            assert found.source
            assert 16 * 10**9 <= found.memory_bytes <= 10**12
            assert found.tdp_watts is None or 100 <= found.tdp_watts <= 3_000

    def test_several_vendors(self) -> None:
        """The list depends on no one vendor."""
        assert {found.vendor for found in accelerator_types().values()} >= {
            "NVIDIA",
            "AMD",
            "SiPearl",
        }

    def test_a_rack_of_gb200_has_the_published_memory(self) -> None:
        """Seventy-two times one is the data sheet's 13.4 TB, to the rounding."""
        assert 72 * accelerator_type("GB200").memory_bytes == pytest.approx(13.4e12, rel=0.001)


class TestNames:
    @pytest.mark.parametrize("spelling", ["gb200", " GB200 ", "NVIDIA GB200"])
    def test_any_known_spelling_will_do(self, spelling: str) -> None:
        """Letter case and the vendor's own names lead to one type."""
        assert accelerator_type(spelling).name == "GB200"

    def test_an_unknown_type_is_kept_as_it_is(self) -> None:
        """New hardware can be reported before the data knows it."""
        assert canonical_name("X9000") == "X9000"

    def test_the_error_names_the_nearest_and_all(self) -> None:
        """A slip of the finger is met with the type that was probably meant."""
        with pytest.raises(UnknownAccelerator) as caught:
            accelerator_type("GB20")
        assert caught.value.hint is not None
        assert caught.value.hint.startswith("did you mean GB200? known are: A100, B200")
