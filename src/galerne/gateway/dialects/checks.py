"""Checks of single fields. Each returns what was expected instead, or None if the value is good."""

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], str | None]

STOP_SEQUENCES_MAX = 16
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
RESPONSE_FORMATS = frozenset({"text", "json_object", "json_schema"})


def number(low: float, high: float) -> Check:
    expected = f"a number from {low:g} to {high:g}"

    def check(value: Any) -> str | None:
        good = (
            isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        )
        return None if good else expected

    return check


def integer(low: int, high: int) -> Check:
    expected = f"an integer from {low} to {high}"

    def check(value: Any) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if good else expected

    return check


def boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def text(value: Any) -> str | None:
    return None if isinstance(value, str) else "a string"


def mapping(value: Any) -> str | None:
    return None if isinstance(value, dict) else "an object"


def anything(value: Any) -> str | None:  # noqa: ARG001 - a check like the others
    return None


def stop(value: Any) -> str | None:
    if isinstance(value, str):
        return None
    if isinstance(value, list) and len(value) <= STOP_SEQUENCES_MAX:
        return None if all(isinstance(item, str) for item in value) else "a list of strings"
    return f"a string or a list of at most {STOP_SEQUENCES_MAX} strings"


def messages(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "a list of at least one message"
    for number_, message in enumerate(value):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            roles = ", ".join(sorted(ROLES))
            return f"a list of messages, each with a role of {roles} (see number {number_})"
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            return f"a list of messages whose content is text or a list of parts (see number {number_})"
        if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
            return f"a list of messages whose content parts are objects (see number {number_})"
    return None


def prompt(value: Any) -> str | None:
    if isinstance(value, str):
        return None
    items = value if isinstance(value, list) else []
    if items and all(isinstance(item, str) for item in items):
        return None
    if items and all(isinstance(item, int) and not isinstance(item, bool) for item in items):
        return None
    return "a string, a list of strings or a list of token numbers"


def tools(value: Any) -> str | None:
    if isinstance(value, list) and all(
        isinstance(tool, dict)
        and tool.get("type", "function") == "function"
        and isinstance(tool.get("function"), dict)
        and isinstance(tool["function"].get("name"), str)
        for tool in value
    ):
        return None
    return "a list of tools of type 'function', each with a name"


def tool_choice(value: Any) -> str | None:
    if isinstance(value, dict) or value in {"none", "auto", "required", "any"}:
        return None
    return "'none', 'auto', 'required', 'any' or an object that names a tool"


def response_format(value: Any) -> str | None:
    if isinstance(value, dict) and value.get("type") in RESPONSE_FORMATS:
        return None
    return "an object whose type is text, json_object or json_schema"


def only_text(value: Any) -> str | None:
    return None if value == ["text"] else '["text"]: other modalities are not served'


def never(value: Any) -> str | None:  # noqa: ARG001 - a check like the others
    return "left out: it is not served, use its successor ('tools', 'tool_choice')"
