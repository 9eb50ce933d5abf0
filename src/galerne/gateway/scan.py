"""Read JSON objects strictly, and where it is needed with the places of their top-level members.

`read_object` checks all of a text in one call of the standard library's scanner. `scan_object` also says
where each member stands, so that what is forwarded is the customer's own text, of which only the members
that must change are replaced; it costs three times as much and is used only then.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\n\r]*+")
_KEY = re.compile(r'[ \t\n\r]*+("(?:[^"\\\x00-\x1f]|\\.)*+")[ \t\n\r]*+:[ \t\n\r]*+')
_NEXT = re.compile(r"[ \t\n\r]*+([,}])")


class JsonError(ValueError):
    """Not a JSON object: `reason` and the character where it shows."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} (at character {position})")
        self.reason = reason
        self.position = position


class Member(NamedTuple):
    """One member: its parsed value, and the span of `"key": value` in the text."""

    value: Any
    start: int
    end: int


def read_object(text: str) -> dict[str, Any]:
    """Read the one object that `text` holds. Raises JsonError.

    A key given twice, at any depth, is an error: two programs would take different ones.
    """
    try:
        value = _strict_decoder.decode(text)
    except json.JSONDecodeError as error:
        raise JsonError(error.msg, error.pos) from None
    except RecursionError:
        raise JsonError("nested too deeply", 0) from None
    except ValueError as error:
        raise JsonError(str(error), 0) from None
    if not isinstance(value, dict):
        raise JsonError("expected a JSON object", 0)
    return value


def scan_object(text: str) -> dict[str, Member]:
    """Read the members of the one object that `text` holds. Raises JsonError.

    A key given twice is an error: two programs would take different ones.
    """
    position = _SPACE.match(text).end()  # type: ignore[union-attr] # matches the empty string too
    if text[position : position + 1] != "{":
        raise JsonError("expected a JSON object", position)
    members: dict[str, Member] = {}
    position += 1
    empty = _NEXT.match(text, position)
    if empty is not None and empty[1] == "}":
        return _ended(text, empty.end(), members)
    while True:
        key = _KEY.match(text, position)
        if key is None:
            raise JsonError("expected a key in double quotes and a colon", position)
        name = _name(key[1], position)
        if name in members:
            raise JsonError(f"the key '{name[:100]}' is given twice", key.start(1))
        value, end = _value(text, key.end())
        members[name] = Member(value, key.start(1), end)
        separator = _NEXT.match(text, end)
        if separator is None:
            raise JsonError("expected ',' or '}'", end)
        position = separator.end()
        if separator[1] == "}":
            return _ended(text, position, members)


def render(
    text: str, members: Mapping[str, Member], changes: Mapping[str, str | None], extra: str = ""
) -> str:
    """Spell the object again: members keep their text unless `changes` replaces or (None) drops them.

    `changes` maps a key to the whole new `"key":value`; `extra` is appended as further members.
    """
    parts = []
    for name, member in members.items():
        part = changes[name] if name in changes else text[member.start : member.end]
        if part is not None:
            parts.append(part)
    if extra:
        parts.append(extra)
    return "{" + ",".join(parts) + "}"


def _ended(text: str, position: int, members: dict[str, Member]) -> dict[str, Member]:
    end = _SPACE.match(text, position).end()  # type: ignore[union-attr] # matches the empty string too
    if end != len(text):
        raise JsonError("unexpected text after the object", end)
    return members


def _name(quoted: str, position: int) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise JsonError("a key with an invalid escape", position) from None


def _value(text: str, position: int) -> tuple[Any, int]:
    try:
        value, end = _scan_once(text, position)
    except StopIteration as stop:
        raise JsonError("expected a value", int(stop.value)) from None
    except json.JSONDecodeError as error:
        raise JsonError(error.msg, error.pos) from None
    except RecursionError:
        raise JsonError("nested too deeply", position) from None
    except ValueError as error:
        raise JsonError(str(error), position) from None
    return value, end


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key '{twice[:100]}' is given twice")
    return value


_strict_decoder = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique)
# The scanner in C, one value at a position; `raw_decode` is the same with a Python frame around it.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_scan_once: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined] # not in typeshed
