"""Every statement on `sites`."""

from collections.abc import Sequence

from sqlalchemy import select

from galerne.catalog.sites.models import Site
from galerne.db.repository import Repository


class SiteRepository(Repository[Site]):
    """Statements on `sites`."""

    model = Site

    async def all(self) -> Sequence[Site]:
        return (await self.session.scalars(select(Site).order_by(Site.name))).all()

    async def by_name(self, name: str) -> Site | None:
        return await self.session.scalar(select(Site).where(Site.name == name))
