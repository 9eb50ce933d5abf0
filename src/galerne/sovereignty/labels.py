"""The label algebra. Pure: a label says where something may be, `check` says whether a place will do.

Labels flow: what is derived from several things carries `a & b` of their labels, which allows only
what both allow. An unknown jurisdiction is allowed by nothing but the label that allows everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from galerne.sovereignty.zones import ZONES

ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a flow would end: the facts about a site that labels ask for."""

    name: str
    country: str | None  # ISO 3166-1 alpha-2; None: unknown, as the open internet is.
    operator_subject_to: frozenset[str] = frozenset()  # Countries whose law reaches the operator.
    certifications: frozenset[str] = frozenset()  # As "SecNumCloud", "HDS", "C5".


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one flow, with its reason and what would change it."""

    allowed: bool
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """A set of allowed countries plus required properties of whoever operates there."""

    countries: frozenset[str] | None = None  # None: anywhere.
    operator_not_subject_to: frozenset[str] = frozenset()
    certifications: frozenset[str] = frozenset()

    def __and__(self, other: "Label") -> "Label":
        """Allow only what both allow."""
        if self.countries is None or other.countries is None:
            countries = other.countries if self.countries is None else self.countries
        else:
            countries = self.countries & other.countries
        return Label(
            countries,
            self.operator_not_subject_to | other.operator_not_subject_to,
            self.certifications | other.certifications,
        )

    def within(self, other: "Label") -> bool:
        """Say whether everything that this label allows, `other` allows too."""
        return self & other == self

    def check(self, place: Place) -> Verdict:
        """Say whether a flow to `place` is allowed."""
        if not self._contains(place.country):
            where = place.country or "an unknown country"
            return Verdict(
                allowed=False,
                reason=f"{place.name} is in {where}; the label allows {self.places_text()}",
                hint="choose a site in the label, or have an owner change the project's label",
            )
        if self.operator_not_subject_to and not place.country:
            return Verdict(
                allowed=False,
                reason=f"whose law reaches the operator of {place.name} is not known",
                hint="choose a site that the fleet describes",
            )
        foreign = sorted(self.operator_not_subject_to & place.operator_subject_to)
        if foreign:
            return Verdict(
                allowed=False,
                reason=f"the operator of {place.name} is subject to the law of {', '.join(foreign)}",
                hint="choose a site whose operator is not",
            )
        missing = sorted(self.certifications - place.certifications)
        if missing:
            return Verdict(
                allowed=False,
                reason=f"{place.name} lacks the certification {', '.join(missing)}",
                hint="choose a certified site",
            )
        return Verdict(allowed=True, reason=f"{place.name} is within {self.places_text()}")

    def check_open_network(self) -> Verdict:
        """Say whether a flow to the open internet is allowed: its jurisdiction is unknown."""
        verdict = self.check(Place("the open network", None))
        if verdict.allowed:
            return verdict
        return Verdict(
            allowed=False,
            reason=f"{verdict.reason}; the open network is in no known country",
            hint="bring the data in as a dataset, or use a project whose label allows anywhere",
        )

    def _contains(self, country: str | None) -> bool:
        """Say whether the country is allowed. An unknown one is in no set of countries."""
        return self.countries is None or (bool(country) and country in self.countries)

    def places_text(self) -> str:
        """Spell the allowed countries, as a zone's name where they are one."""
        if self.countries is None:
            return ANYWHERE
        for name, members in ZONES.items():
            if self.countries == members:
                return name
        return ", ".join(sorted(self.countries)) or "nowhere"

    def as_json(self) -> dict[str, Any]:
        """Return the label as the API and the log spell it."""
        return {
            "residency": [ANYWHERE] if self.countries is None else sorted(self.countries),
            "operator_not_subject_to": sorted(self.operator_not_subject_to),
            "certifications": sorted(self.certifications),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Label":
        """Read what `as_json` wrote. Raises ValueError, also where the residency is left out."""
        if "residency" not in data:
            raise ValueError("a label says its residency; nothing is allowed by default")
        return parse_label(
            data["residency"],
            operator_not_subject_to=data.get("operator_not_subject_to", ()),
            certifications=data.get("certifications", ()),
        )


def parse_label(
    residency: Iterable[str],
    *,
    operator_not_subject_to: Iterable[str] = (),
    certifications: Iterable[str] = (),
) -> Label:
    """Read countries and zone names, as `["FR", "DE"]` or `["EEA"]`. Raises ValueError.

    No words at all mean nowhere; anywhere has to be said.
    """
    words = list(residency)
    if [word.lower() for word in words] == [ANYWHERE]:
        countries = None
    else:
        countries = frozenset().union(*(_countries(word) for word in words))
    return Label(
        countries,
        frozenset(_country(word) for word in operator_not_subject_to),
        frozenset(certifications),
    )


def _countries(word: str) -> frozenset[str]:
    zone = ZONES.get(word.upper())
    return frozenset({_country(word)}) if zone is None else zone


def _country(word: str) -> str:
    upper = word.upper()
    if len(upper) == 2 and upper.isascii() and upper.isalpha():
        return upper
    known = ", ".join(ZONES)
    raise ValueError(
        f"{word!r} is neither a country (ISO 3166-1 alpha-2, as FR), nor a zone ({known}),"
        f" nor {ANYWHERE!r} alone"
    )
