"""Ids are typed, unique, and sort by when they were made."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.kit.ids import encode, is_id, new_id, uuid7

uuids = st.integers(0, 2**128 - 1).map(lambda value: UUID(int=value))


class TestEncode:
    @given(uuids, uuids)
    def test_sorts_as_the_uuid(self, one: UUID, other: UUID) -> None:
        """Spelt ids sort as their UUIDs do, and two UUIDs never share a spelling."""
        assert (encode(one) < encode(other)) == (one < other)
        assert (encode(one) == encode(other)) == (one == other)

    @given(uuids)
    def test_shape(self, uuid: UUID) -> None:
        """A spelt UUID has 26 characters and is an id under any prefix."""
        assert len(encode(uuid)) == 26
        assert is_id(f"job_{encode(uuid)}", "job")


class TestUuid7:
    def test_version_and_variant(self) -> None:
        """The UUID is of version 7 and of the RFC's variant."""
        made = uuid7()

        assert made.version == 7
        assert made.variant == "specified in RFC 4122"

    def test_grows(self) -> None:
        """Ids made one after another differ, and their times never go back."""
        made = [uuid7().int for _ in range(2000)]
        times = [value >> 80 for value in made]

        assert len(set(made)) == len(made)
        assert times == sorted(times)


class TestIsId:
    def test_own_prefix(self) -> None:
        """An id is one of its own kind only."""
        made = new_id("job")

        assert is_id(made, "job")
        assert not is_id(made, "org")

    @pytest.mark.parametrize(
        "text",
        ["", "job", "job_", "job_" + "u" * 26, "job_" + "0" * 25, "job_" + "0" * 27, "0" * 26],
    )
    def test_not_an_id(self, text: str) -> None:
        """What `new_id` could not have made is not an id."""
        assert not is_id(text, "job")
