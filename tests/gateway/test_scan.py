"""The scanner of JSON objects agrees with the standard parser and keeps the text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.gateway.scan import JsonError, read_object, render, scan_object

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON_VALUES, max_size=6)


@given(OBJECTS, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_agrees_with_the_standard_parser(
    value: dict[str, Any], indent: int | str | None, ascii_: bool
) -> None:
    """Whatever the spacing and escapes, the members are those that `json` reads."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_)

    members = scan_object(text)

    assert {name: member.value for name, member in members.items()} == value


@given(OBJECTS)
def test_members_keep_their_text(value: dict[str, Any]) -> None:
    """An object spelled again without changes means the same."""
    text = json.dumps(value, indent=2)

    assert json.loads(render(text, scan_object(text), {})) == value


@given(OBJECTS, st.text(min_size=1))
def test_replaces_and_drops_single_members(value: dict[str, Any], name: str) -> None:
    """A changed member changes alone, and a dropped one goes alone."""
    text = json.dumps({**value, name: [1, {"deep": '"'}]})
    members = scan_object(text)

    changed = json.loads(render(text, members, {name: f"{json.dumps(name)}:7"}))
    dropped = json.loads(render(text, members, {name: None}, '"extra":1'))

    assert changed == {**value, name: 7}
    assert dropped == {"extra": 1} | {k: v for k, v in value.items() if k not in {name, "extra"}}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("[]", 0),
        ('{"a":1', 6),
        ('{"a":}', 5),
        ('{"a" 1}', 1),
        ('{"a":1,}', 7),
        ('{"a":1} x', 8),
        ('{"a":NaN}', 5),
        ('{"a":1,"a":2}', 7),
        ('{"a":"\\u12"}', 7),
        ("{" + '"a":' + "[" * 10_000 + "]" * 10_000 + "}", 5),
        ('{"a":' + "9" * 5000 + "}", 5),
    ],
)
def test_names_the_place_of_an_error(text: str, position: int) -> None:
    """Malformed, ambiguous and bottomless objects are refused with the place."""
    with pytest.raises(JsonError) as caught:
        scan_object(text)

    assert abs(caught.value.position - position) <= 2


@given(st.text())
def test_never_raises_anything_else(text: str) -> None:
    """Any text is either an object or a JsonError."""
    try:
        members = scan_object(text)
    except JsonError:
        return

    assert isinstance(json.loads(text), dict)
    assert set(members) == set(json.loads(text))


@given(st.text() | OBJECTS.map(json.dumps))
def test_both_readers_accept_the_same_texts(text: str) -> None:
    """What one reads the other reads to the same values; what one refuses the other refuses."""
    results: list[dict[str, Any] | None] = []
    for read in (read_object, lambda text: {k: m.value for k, m in scan_object(text).items()}):
        try:
            results.append(read(text))
        except JsonError:
            results.append(None)

    assert results[0] == results[1]


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', '{"a":[{"b":1,"b":1}]}', '{"a":NaN}', "[]", '{"a":' + "[" * 10_000]
)
def test_the_strict_reader_refuses_ambiguity_at_any_depth(text: str) -> None:
    """Keys given twice, constants that JSON lacks and bottomless nesting are errors of one kind."""
    with pytest.raises(JsonError):
        read_object(text)
