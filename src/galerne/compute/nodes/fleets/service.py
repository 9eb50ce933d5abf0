"""Imports fleet files: sites and nodes are brought to what the file states, in bulk."""

from collections import Counter
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.catalog.intensity import carbon_factors
from galerne.catalog.sites.models import Site
from galerne.catalog.sites.schemas import SiteFacts
from galerne.catalog.sites.service import SiteService
from galerne.compute.nodes.fleets.errors import FleetInvalid
from galerne.compute.nodes.fleets.expand import accelerators_of, check, expand, site_watts
from galerne.compute.nodes.fleets.schemas import (
    FleetFile,
    FleetImport,
    NodeCounts,
    SiteImport,
    SiteStated,
)
from galerne.compute.nodes.service import NodeService
from galerne.events.emit import emit
from galerne.kit.clock import Clock


class FleetService:
    """The verb of fleets."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._sites = SiteService(session, clock)
        self._nodes = NodeService(session, clock)
        self._clock = clock

    async def bring_in(self, fleet: FleetFile, *, organization_id: str, actor: str) -> FleetImport:
        """Bring the sites of the file to what it states. Idempotent.

        Sites that the file does not name stay as they are. Nodes that a site no longer states are
        drained, not removed: something may run there. Raises `FleetInvalid`, `SiteInUse`.
        """
        check(fleet)
        warnings: list[str] = []
        sites = [
            await self._bring_in_site(
                site, fleet.driver, warnings, organization_id=organization_id, actor=actor
            )
            for site in fleet.sites
        ]
        return FleetImport(sites=sites, warnings=warnings)

    async def _bring_in_site(
        self,
        stated: SiteStated,
        driver: str,
        warnings: list[str],
        *,
        organization_id: str,
        actor: str,
    ) -> SiteImport:
        idle, full = _power(stated, warnings)
        site, change = await self._sites.ensure(_facts(stated, organization_id))
        nodes = await self._nodes.ensure(
            site, driver, list(expand(stated)), actor=actor, is_whole=True
        )
        counts = NodeCounts(
            created=len(nodes.created),
            changed=len(nodes.changed),
            unchanged=len(nodes.unchanged),
            drained=len(nodes.drained),
        )
        self._record(site, counts, organization_id=organization_id, actor=actor)
        accelerators: Counter[str] = Counter()
        for racks in stated.racks:
            kind, count = accelerators_of(racks)
            if kind is not None:
                accelerators[kind] += count * racks.count * racks.nodes
        return SiteImport(
            id=site.id,
            name=site.name,
            change=change.value,
            racks=sum(racks.count for racks in stated.racks),
            nodes=counts,
            accelerators=dict(accelerators),
            power_idle_watts=idle,
            power_full_watts=full,
            power_cap_watts=stated.power_cap,
        )

    def _record(self, site: Site, counts: NodeCounts, *, organization_id: str, actor: str) -> None:
        data: dict[str, Any] = {"site": site.name, "nodes": counts.model_dump()}
        emit(
            self._session,
            "fleet.imported",
            subject_id=site.id,
            organization_id=organization_id,
            project_id=None,
            actor=actor,
            data=data,
            at=self._clock.now(),
        )


def _facts(stated: SiteStated, organization_id: str) -> SiteFacts:
    return SiteFacts(
        name=stated.name,
        country=stated.country,
        operator=stated.operator,
        operator_id=organization_id,
        operator_subject_to=tuple(stated.operator_subject_to),
        certifications=tuple(stated.certifications),
        jurisdictions=tuple(stated.jurisdictions),
        grid_zone=stated.grid_zone,
        pue_milli=stated.pue_milli,
        power_cap_watts=stated.power_cap,
        is_simulated=True,
    )


def _power(stated: SiteStated, warnings: list[str]) -> tuple[int, int]:
    """Hold the site's power against its cap; return what it draws at the meter, idle and full."""
    idle, full = site_watts(stated)
    if stated.grid_zone not in carbon_factors():
        warnings.append(f"{stated.name}: no carbon factor is known for {stated.grid_zone}")
    cap = stated.power_cap
    if cap is None:
        return idle, full
    if idle > cap:
        raise FleetInvalid(
            f"{stated.name} would draw {idle:,} W idle, beyond its cap of {cap:,} W",
            hint="raise `power_cap`, or state fewer racks",
        )
    if full > cap:
        warnings.append(
            f"{stated.name}: {full:,} W at full load is beyond the cap of {cap:,} W;"
            " work will wait for power"
        )
    return idle, full
