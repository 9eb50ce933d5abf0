"""Types of what people write about things in the registry, so that every database can keep it."""

import re
from typing import Annotated, Any

import rfc8785
from pydantic import AfterValidator, Field

FREE_FORM_BYTES_MAX = 20_000
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def _printable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError("has control characters")
    return text


def _free_form(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size_bytes = len(rfc8785.dumps(value))
    except (ValueError, RecursionError):
        raise ValueError("has a number or text that JSON cannot carry safely") from None
    if size_bytes > FREE_FORM_BYTES_MAX:
        raise ValueError(f"is larger than {FREE_FORM_BYTES_MAX} bytes")
    _require_printable(value)
    return value


def _require_printable(value: Any) -> None:
    if isinstance(value, str):
        _printable(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _require_printable(key)
            _require_printable(item)
    elif isinstance(value, list):
        for item in value:
            _require_printable(item)


RegistryName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$",
        max_length=63,
        description="Lower-case letters, digits, dots, dashes and underscores.",
    ),
]
Licence = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="An SPDX expression, as Apache-2.0, or words that name the terms.",
    ),
    AfterValidator(_printable),
]
Description = Annotated[str, Field(max_length=2_000), AfterValidator(_printable)]
FreeForm = Annotated[dict[str, Any], AfterValidator(_free_form)]
