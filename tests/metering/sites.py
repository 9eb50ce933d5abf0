"""Builds sites for tests: one in Essonne, with what the test changes."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from tests.metering.records import NOON

from galerne.catalog.sites.models import Site
from galerne.kit.clock import Clock
from galerne.kit.ids import new_id


def site(**changes: Any) -> Site:
    """Return a site that no session knows."""
    stated: dict[str, Any] = {
        "id": new_id(Site.id_prefix),
        "created_at": NOON,
        "name": "essonne-1",
        "country": "FR",
        "operator": "Galerne SAS",
        "operator_id": "org_operator",
        "operator_subject_to": [],
        "certifications": [],
        "jurisdictions": ["FR"],
        "grid_zone": "FRA",
        "pue_milli": 1250,
        "power_cap_watts": None,
        "is_simulated": False,
    }
    return Site(**(stated | changes))


async def add_site(session: AsyncSession, clock: Clock, **changes: Any) -> str:
    """Add a site and return its id."""
    added = site(created_at=clock.now(), **changes)
    session.add(added)
    await session.flush()
    identity: str = added.id
    return identity
