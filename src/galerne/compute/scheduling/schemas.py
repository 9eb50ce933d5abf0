"""What scheduling answers to a plan and to the question why."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SiteVerdict:
    """Whether one site may be used, by the label and by what the request names."""

    site: str
    country: str
    allowed: bool
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Preview:
    """Where a request would run if it were scheduled now, alone."""

    verdict: Literal["placed", "waiting", "refused"]
    code: str  # "placed", or as in `placement.Waiting`.
    reason: str
    hint: str
    site: str | None
    site_id: str | None
    driver: str | None
    nodes: tuple[str, ...]
    power_watts: int | None  # What it would add to the site's load at full use; None: not placed.
    sites: tuple[SiteVerdict, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a lease waits, and what would change that."""

    code: str
    message: str
    hint: str
