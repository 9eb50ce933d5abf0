"""References to registered things: `name`, which means the newest version, or `name:version`."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from galerne.rest.errors import BadRequest

NAME_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"
_NAME = re.compile(NAME_PATTERN)
_VERSION = re.compile(r"^v?([1-9][0-9]{0,8})$")

RegistryName = Annotated[
    str,
    Field(
        pattern=NAME_PATTERN,
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
]


class ReferenceInvalid(BadRequest):
    """The text is no reference to a dataset or model."""

    code = "reference_invalid"


@dataclass(frozen=True, slots=True)
class Reference:
    """A name, and a version where one was asked for."""

    name: str
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read `name` or `name:version`. Raises `ReferenceInvalid`."""
        name, separator, version = text.partition(":")
        match = _VERSION.match(version) if separator else None
        if not _NAME.match(name) or (separator and match is None):
            raise ReferenceInvalid(
                f"{text[:100]!r} is not a reference to a dataset or model",
                hint="write it as name or name:version, for example europarl:2",
            )
        return cls(name, int(match[1]) if match else None)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"
