"""Builds the gateway's snapshot from the control plane's tables. The only reader of them in this tier.

Runs beside the hot path, once a refresh: keys, routes, labels and prices in one short session. A version
is a digest of the content, so that an unchanged policy replaces nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence

from galerne.billing.prices.book import PriceBook
from galerne.billing.prices.service import PriceService
from galerne.catalog.intensity import carbon_factor
from galerne.catalog.power import DEFAULT as POWER
from galerne.catalog.sites.models import Site
from galerne.catalog.sites.service import SiteService
from galerne.db.session import Database, Scope
from galerne.gateway.snapshot import (
    EnergyModel,
    KeyPolicy,
    Price,
    ReplicaAddress,
    ServedModel,
    Snapshot,
    index_models,
)
from galerne.iam.api_keys.service import ApiKeyService, GatewayKey
from galerne.iam.members.service import MemberService
from galerne.iam.projects.models import Project
from galerne.iam.projects.service import ProjectService
from galerne.inference.deployments.routes import Route, routes
from galerne.kit.clock import Clock
from galerne.runtimes.base import Runtime


class ControlPlanePolicy:
    """Implements `snapshot.SnapshotSource` on the control plane's database."""

    def __init__(
        self, database: Database, runtimes: Mapping[str, Runtime], pepper: bytes, clock: Clock
    ) -> None:
        self._database = database
        self._runtimes = runtimes
        self._pepper = pepper
        self._clock = clock

    async def load(self, known_version: str | None) -> Snapshot | None:
        """Return the policy now in force, or None if it is the one that is known."""
        async with self._database.read(Scope.system()) as session:
            project_service = ProjectService(session, self._clock)
            keys = await ApiKeyService(
                session,
                self._clock,
                pepper=self._pepper,
                members=MemberService(session, self._clock),
                projects=project_service,
            ).gateway_keys()
            projects = await project_service.all_projects()
            served = await routes(session, self._runtimes)
            sites = {site.id: site for site in await SiteService(session, self._clock).list()}
            book = await PriceService(session, self._clock).book(self._clock.now())
        snapshot = self._snapshot(keys, projects, served, sites, book)
        return None if snapshot.version == known_version else snapshot

    def _snapshot(
        self,
        keys: Sequence[GatewayKey],
        projects: Sequence[Project],
        served: Sequence[Route],
        sites: Mapping[str, Site],
        book: PriceBook,
    ) -> Snapshot:
        policies = _policies(keys, projects)
        by_project: dict[str | None, list[ServedModel]] = {}
        for route in served:
            by_project.setdefault(route.project_id, []).append(self._served(route, sites, book))
        models = {project: index_models(group) for project, group in by_project.items()}
        models |= _of_whole_organizations(by_project)
        content = repr((sorted(policies.items()), sorted(models.items(), key=repr)))
        return Snapshot(
            version=hashlib.sha256(content.encode()).hexdigest(),
            key_pepper=self._pepper,
            keys=policies,
            models=models,
        )

    def _served(self, route: Route, sites: Mapping[str, Site], book: PriceBook) -> ServedModel:
        prices = book.token_prices(route.model_name)
        return ServedModel(
            name=route.name,
            deployment_id=route.deployment_id,
            organization_id=route.organization_id,
            project_id=route.project_id,
            created=int(route.created_at.timestamp()),
            owned_by=route.organization_id,
            model=route.model_name,
            replicas=tuple(
                ReplicaAddress(
                    replica_id=replica.id,
                    base_url=replica.base_url,
                    model_name=route.name,
                    site_id=replica.site_id,
                    country=sites[replica.site_id].country if replica.site_id in sites else "",
                )
                for replica in route.replicas
            ),
            price=Price(
                prices.input_nano_per_million,
                prices.output_nano_per_million,
                prices.cached_nano_per_million,
            ),
            refused_fields=route.refused_fields,
            context_tokens=route.context_tokens,
            energy=self._energy(route, sites),
        )

    def _energy(self, route: Route, sites: Mapping[str, Site]) -> EnergyModel | None:
        site = sites.get(route.replicas[0].site_id) if route.replicas else None
        if site is None:
            return None
        factor = carbon_factor(site.grid_zone, self._clock.now())
        # Full load of the replica's own cores and memory: the model that bills compute, too.
        milliwatts = (
            route.cpu_millis * POWER.busy_core_milliwatts // 1000
            + route.memory_bytes * POWER.memory_milliwatts_per_gigabyte // 1_000_000_000
        )
        return EnergyModel(
            replica_watts=milliwatts / 1000,
            pue=site.pue_milli / 1000,
            gco2e_per_kwh=factor.milligrams_per_kwh / 1000 if factor else None,
        )


def _policies(keys: Sequence[GatewayKey], projects: Sequence[Project]) -> dict[bytes, KeyPolicy]:
    """Join keys and the labels of their projects; by the digest that a presented key is looked up by."""
    labels = {project.id: project.label_value() for project in projects}
    return {
        key.digest: KeyPolicy(
            key_id=key.key_id,
            organization_id=key.organization_id,
            project_id=key.project_id or key.organization_id,
            scopes=key.scopes,
            models=key.models,
            expires_at=key.expires_at,
            # A deployment is placed within its own project's label; this follows a later narrowing.
            countries=labels[key.project_id].countries if key.project_id in labels else None,
        )
        for key in keys
    }


def _of_whole_organizations(
    by_project: Mapping[str | None, Sequence[ServedModel]],
) -> dict[str | None, dict[str, ServedModel]]:
    """Index, by organization, what a key of no project may name: every name that means one thing."""
    found: dict[str, dict[str, list[ServedModel]]] = {}
    for group in by_project.values():
        for served in group:
            named = found.setdefault(served.organization_id, {}).setdefault(served.name, [])
            named.append(served)
    return {
        organization: {name: same[0] for name, same in by_name.items() if len(same) == 1}
        for organization, by_name in found.items()
    }
