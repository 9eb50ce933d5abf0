"""What can be done with sites: look them up, and bring them to what their operator states."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.catalog.intensity import carbon_factor
from galerne.catalog.sites.errors import SiteInUse, SiteNotFound
from galerne.catalog.sites.models import Site
from galerne.catalog.sites.repository import SiteRepository
from galerne.catalog.sites.schemas import SiteFacts, SiteOut, site_out
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id


class Change(StrEnum):
    """What `ensure` found to do."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class SiteService:
    """The verbs of sites."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._sites = SiteRepository(session)
        self._clock = clock

    async def list(self) -> Sequence[Site]:
        """Return all sites by name."""
        return await self._sites.all()

    async def get(self, site_id: str) -> Site:
        """Return the site. Raises `SiteNotFound`."""
        site = await self._sites.get(site_id)
        if site is None:
            raise SiteNotFound(f"there is no site {site_id}", hint="GET /api/v1/sites lists them")
        return site

    async def by_name(self, name: str) -> Site:
        """Return the site. Raises `SiteNotFound`, naming those there are."""
        site = await self._sites.by_name(name)
        if site is None:
            known = ", ".join(other.name for other in await self._sites.all()) or "none yet"
            raise SiteNotFound(f"there is no site named {name}", hint=f"the sites are: {known}")
        return site

    def show(self, site: Site) -> SiteOut:
        """Return the site with what its grid emits now."""
        return site_out(site, carbon_factor(site.grid_zone, self._clock.now()))

    async def ensure(self, facts: SiteFacts) -> tuple[Site, Change]:
        """Create the site of this name, or bring it to `facts`; idempotent.

        Raises `SiteInUse` where a real site would become a simulated one, or the other way round:
        what runs there would change its meaning.
        """
        site = await self._sites.by_name(facts.name)
        stated = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(facts).items()
        }
        if site is None:
            record = Site(id=new_id(Site.id_prefix), created_at=self._clock.now(), **stated)
            return self._sites.add(record), Change.CREATED
        if site.is_simulated != facts.is_simulated:
            nature = "simulated" if site.is_simulated else "real"
            raise SiteInUse(
                f"the site {facts.name} exists and is {nature}",
                hint="give this site another name",
            )
        changed = {name: value for name, value in stated.items() if getattr(site, name) != value}
        for name, value in changed.items():
            setattr(site, name, value)
        return site, Change.CHANGED if changed else Change.UNCHANGED
