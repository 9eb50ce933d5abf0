"""References to registered things: `name`, which means the newest version, or `name:version`."""

import re
from dataclasses import dataclass

from galerne.rest.errors import BadRequest

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_VERSION = re.compile(r"v?([1-9][0-9]{0,8})")


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
        match = _VERSION.fullmatch(version) if separator else None
        if not _NAME.fullmatch(name) or (separator and match is None):
            raise ReferenceInvalid(
                f"{text[:100]!r} is not a reference to a dataset or model",
                hint="write it as name or name:version, for example europarl:2",
            )
        return cls(name, int(match[1]) if match else None)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"
