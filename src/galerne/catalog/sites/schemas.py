"""Shapes of sites."""

from dataclasses import dataclass

from pydantic import BaseModel

from galerne.catalog.intensity import CarbonFactor
from galerne.catalog.sites.models import Site


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What a site is, as its operator states it."""

    name: str
    country: str
    operator: str
    operator_id: str  # The operator's organization here; the site's record belongs to it.
    operator_subject_to: tuple[str, ...] = ()
    certifications: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    grid_zone: str = ""
    pue_milli: int = 1000
    power_cap_watts: int | None = None
    is_simulated: bool = False


class SiteOut(BaseModel):
    """A site as the API shows it."""

    id: str
    name: str
    country: str
    operator: str
    operator_subject_to: list[str]
    certifications: list[str]
    jurisdictions: list[str]
    grid_zone: str
    carbon_milligrams_per_kwh: int | None
    carbon_source: str | None
    pue_milli: int
    power_cap_watts: int | None
    is_simulated: bool


class SitesOut(BaseModel):
    """The whole list; there are few sites, and it is not paged."""

    items: list[SiteOut]


def site_out(site: Site, carbon: CarbonFactor | None) -> SiteOut:
    """Show `site` with its grid's factor."""
    return SiteOut(
        id=site.id,
        name=site.name,
        country=site.country,
        operator=site.operator,
        operator_subject_to=site.operator_subject_to,
        certifications=site.certifications,
        jurisdictions=site.jurisdictions,
        grid_zone=site.grid_zone,
        carbon_milligrams_per_kwh=carbon.milligrams_per_kwh if carbon else None,
        carbon_source=f"{carbon.source}, {carbon.vintage}" if carbon else None,
        pue_milli=site.pue_milli,
        power_cap_watts=site.power_cap_watts,
        is_simulated=site.is_simulated,
    )
