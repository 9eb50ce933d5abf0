"""What must stand before the processes start: schema, site, operator, price list, embedded model.

Idempotent: every start of `galerne up`, and every `galerne migrate`, runs all of it.
"""

import asyncio

import structlog
from sqlalchemy.exc import DBAPIError

from galerne.billing.prices.service import PriceService
from galerne.catalog.sites.schemas import SiteFacts
from galerne.catalog.sites.service import SiteService
from galerne.config import SiteSettings
from galerne.db.migrate import upgrade
from galerne.db.session import Scope
from galerne.entrypoints.failures import DatabaseUnavailableError
from galerne.entrypoints.wiring import Platform, organizations
from galerne.iam.bootstrap import OPERATOR, ensure_operator
from galerne.registry.models.models import ModelFormat
from galerne.registry.models.service import ModelService, PublicModelEntry
from galerne.runtimes import embedded

LOG_KEY_FILE = "log-verifier-key.txt"
_log = structlog.get_logger("galerne.preparation")


async def prepare(platform: Platform) -> str | None:
    """Bring the installation up to date. Return the operator's first key if it was made just now."""
    platform.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        await asyncio.to_thread(upgrade, platform.settings.database)
    except (OSError, DBAPIError) as error:
        raise DatabaseUnavailableError(f"the schema cannot be prepared: {error}") from error
    # Public: what an auditor checks proofs against, and what the operator should publish.
    key_file = platform.settings.data_dir / LOG_KEY_FILE
    key_file.write_text(f"{platform.signer.verifier_key}\n", encoding="ascii")
    return await seed(platform)


async def seed(platform: Platform) -> str | None:
    """Make the first records of an installation whose schema stands; return the operator's new key."""
    clock = platform.clock
    async with platform.database.write(Scope.system()) as session:
        site = platform.settings.site
        founder = OPERATOR.model_copy(update={"country": site.country or OPERATOR.country})
        secret = await ensure_operator(
            session, clock=clock, pepper=platform.pepper, operator=founder
        )
        operator = await organizations(platform, session).operator()
        assert operator is not None
        await SiteService(session, clock).ensure(_facts(site, operator.id))
        await PriceService(session, clock).ensure_default()
        await _offer_embedded_model(ModelService(session, clock, platform.trees))
    return secret


def _facts(site: SiteSettings, operator_id: str) -> SiteFacts:
    return SiteFacts(
        name=site.name,
        country=site.country or "",
        operator=site.operator,
        operator_id=operator_id,
        operator_subject_to=tuple(site.operator_subject_to),
        certifications=tuple(site.certifications),
        jurisdictions=(site.country,) if site.country else (),
        grid_zone=site.grid_zone or "",
        pue_milli=round(site.pue * 1000),
        power_cap_watts=site.power_cap_watts,
        is_simulated=False,
    )


async def _offer_embedded_model(models: ModelService) -> None:
    try:
        found = embedded.locate()
    except embedded.EmbeddedModelMissingError as error:
        _log.warning("embedded_model_missing", hint=str(error))
        return
    await models.ensure_public(
        PublicModelEntry(
            name=found.name,
            format=ModelFormat.GGUF,
            path=found.path,
            licence=found.license,
            source={"package": found.source_package, "version": found.source_version},
            sha256=found.sha256,
            size_bytes=found.path.stat().st_size,
            context_tokens=found.context_tokens,
        )
    )
