"""Sites: brought to what is stated, found by name, shown to labels as places."""

import pytest

from galerne.catalog.sites.errors import SiteInUse, SiteNotFound
from galerne.catalog.sites.schemas import SiteFacts
from galerne.catalog.sites.service import Change, SiteService
from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock
from galerne.sovereignty.labels import parse_label


def facts(**others: object) -> SiteFacts:
    stated = {
        "name": "essonne",
        "country": "FR",
        "operator": "Galerne",
        "operator_id": "org_operator",
        "operator_subject_to": ("FR",),
        "certifications": ("HDS",),
        "grid_zone": "FRA",
        **others,
    }
    return SiteFacts(**stated)  # type: ignore[arg-type]  # a test's own keywords


class TestEnsure:
    async def test_created_unchanged_changed(self, database: Database, clock: ManualClock) -> None:
        """The same statement twice changes nothing; another changes what differs."""
        changes = []
        for stated in (facts(), facts(), facts(pue_milli=1200)):
            async with database.write(Scope.system()) as session:
                _, change = await SiteService(session, clock).ensure(stated)
            changes.append(change)
        assert changes == [Change.CREATED, Change.UNCHANGED, Change.CHANGED]

    async def test_real_stays_real(self, database: Database, clock: ManualClock) -> None:
        """A site on which real work runs cannot be declared a simulation."""
        async with database.write(Scope.system()) as session:
            service = SiteService(session, clock)
            await service.ensure(facts())
            with pytest.raises(SiteInUse, match="is real"):
                await service.ensure(facts(is_simulated=True))


class TestLookUp:
    async def test_by_name_and_id(self, database: Database, clock: ManualClock) -> None:
        """Who names a site that is not there is told which are."""
        async with database.write(Scope.system()) as session:
            made, _ = await SiteService(session, clock).ensure(facts())
        async with database.read(Scope("org_a")) as session:
            service = SiteService(session, clock)
            assert (await service.by_name("essonne")).id == made.id
            assert (await service.get(made.id)).name == "essonne"
            with pytest.raises(SiteNotFound) as caught:
                await service.by_name("esson")
            assert caught.value.hint == "the sites are: essonne"
            with pytest.raises(SiteNotFound):
                await service.get("site_none")

    async def test_a_site_is_a_place_for_labels(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Country, reach of law and certificates decide, as the site states them."""
        async with database.write(Scope.system()) as session:
            made, _ = await SiteService(session, clock).ensure(facts())
        label = parse_label(["FR"], operator_not_subject_to=["US"], certifications=["HDS"])
        assert label.check(made.place()).allowed
        assert not parse_label(["FR"], certifications=["C5"]).check(made.place()).allowed
