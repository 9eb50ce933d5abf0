"""Fleet files: read, refused with a reason, imported in bulk, imported again."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from sqlalchemy import func, select
from tests.compute.capacity import add_site, api, bring_in, call, fleet_file, node

from galerne.catalog.sites.errors import SiteInUse
from galerne.compute.nodes.fleets.errors import FleetInvalid
from galerne.compute.nodes.fleets.expand import expand, site_watts
from galerne.compute.nodes.fleets.schemas import FleetFile
from galerne.compute.nodes.models import Node
from galerne.compute.nodes.states import NodeState
from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock

EXAMPLES = Path(__file__).parents[3] / "examples" / "fleets"


def example(name: str) -> dict[str, Any]:
    data = yaml.safe_load((EXAMPLES / name).read_text("utf-8"))
    assert isinstance(data, dict)
    return data


class TestFile:
    def test_essonne_is_what_it_says(self) -> None:
        """18,000 GB200 on 4,500 nodes of 250 NVLink domains, at full load below 40 MW."""
        (site,) = FleetFile.model_validate(example("essonne.yaml")).sites
        nodes = list(expand(site))
        assert len(nodes) == 4_500
        assert sum(found.accelerators for found in nodes) == 18_000
        assert len({found.nvlink_domain for found in nodes}) == 250
        assert nodes[0].name == "essonne-r001-n01"
        idle, full = site_watts(site)
        assert 250 * 132_000 * 1.2 <= full <= 39_610_000
        assert site.power_cap == 40_000_000
        assert idle < full

    def test_every_example_is_valid(self) -> None:
        """What ships as an example can be imported, with distinct node names over all files."""
        names: list[str] = []
        for path in EXAMPLES.glob("*.yaml"):
            for site in FleetFile.model_validate(example(path.name)).sites:
                names += [found.name for found in expand(site)]
        assert len(names) == len(set(names)) > 4_500

    @pytest.mark.parametrize(
        ("key", "said"),
        [("contry", "did you mean 'country'?"), ("zzz", "known are name, country")],
    )
    def test_an_unknown_key_is_named(self, key: str, said: str) -> None:
        """The message names the bad key and the nearest good one."""
        data = fleet_file()
        data["sites"][0][key] = "FR"
        with pytest.raises(ValidationError, match=f"unknown key '{key}'") as caught:
            FleetFile.model_validate(data)
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        "wrong", ["40 megawatts", "40", "-3MW", "0MW", "1e9MW", "999999999MW", -5, 0]
    )
    def test_a_power_is_written_with_its_unit(self, wrong: object) -> None:
        """What is not a power, or out of all bounds, is refused."""
        data = fleet_file()
        data["sites"][0]["power_cap"] = wrong
        with pytest.raises(ValidationError):
            FleetFile.model_validate(data)

    def test_accelerators_carry_their_rated_part_of_the_rack(self) -> None:
        """Idle, cores and accelerators of a node add up to its share of the rack's power."""
        (site,) = FleetFile.model_validate(fleet_file()).sites
        found = next(expand(site))
        assert found.accelerator_watts == 1080
        full = found.idle_watts + found.cpu_watts + 4 * found.accelerator_watts
        assert full == -(-132_000 // 18)


class TestImport:
    async def test_again_changes_nothing(self, database: Database, clock: ManualClock) -> None:
        """The second import of a file finds everything as it is."""
        first = await bring_in(database, clock, fleet_file())
        again = await bring_in(database, clock, fleet_file())
        assert first.sites[0].change == "created"
        assert first.sites[0].nodes.model_dump() == {
            "created": 36,
            "changed": 0,
            "unchanged": 0,
            "drained": 0,
        }
        assert first.sites[0].accelerators == {"GB200": 144}
        assert again.sites[0].change == "unchanged"
        assert again.sites[0].nodes.unchanged == 36

    async def test_what_is_gone_is_drained_and_what_returns_resumes(
        self, database: Database, clock: ManualClock
    ) -> None:
        """A rack taken out of the file takes no new work; put back, it does again."""
        await bring_in(database, clock, fleet_file(count=2))
        fewer = await bring_in(database, clock, fleet_file(count=1))
        assert fewer.sites[0].nodes.drained == 18
        assert (await node(database, "essonne-r2-n01")).state is NodeState.DRAINING
        again = await bring_in(database, clock, fleet_file(count=1))
        assert again.sites[0].nodes.drained == 0
        await bring_in(database, clock, fleet_file(count=2))
        back = await node(database, "essonne-r2-n01")
        assert (back.state, back.drain_wanted) == (NodeState.READY, False)

    async def test_a_changed_template_changes_its_nodes(
        self, database: Database, clock: ManualClock
    ) -> None:
        """New facts reach every node of the template, and the site's own facts the site."""
        await bring_in(database, clock, fleet_file(count=1))
        data = fleet_file(count=1, cap="30MW")
        data["sites"][0]["racks"][0]["node"]["memory"] = "1TB"
        done = await bring_in(database, clock, data)
        assert (done.sites[0].change, done.sites[0].nodes.changed) == ("changed", 18)
        assert (await node(database, "essonne-r1-n01")).memory_bytes == 10**12

    async def test_a_real_site_does_not_become_a_simulated_one(
        self, database: Database, clock: ManualClock
    ) -> None:
        """A file that names a real site is refused, and nothing of it is imported."""
        await add_site(database, clock, "essonne", nodes=1)
        with pytest.raises(SiteInUse):
            await bring_in(database, clock, fleet_file())
        async with database.read(Scope.system()) as session:
            assert await session.scalar(select(func.count()).select_from(Node)) == 1

    async def test_power_beyond_the_cap(self, database: Database, clock: ManualClock) -> None:
        """A cap below full load is a warning, for work will wait; one below idle is an error."""
        warned = await bring_in(database, clock, fleet_file(cap="200kW"))
        assert "work will wait for power" in warned.warnings[0]
        with pytest.raises(FleetInvalid, match="idle"):
            await bring_in(database, clock, fleet_file(cap="20kW"))

    @pytest.mark.parametrize("fault", ["site twice", "rack name twice", "too many", "weak rack"])
    async def test_what_a_schema_cannot_see(
        self, database: Database, clock: ManualClock, fault: str
    ) -> None:
        """Names used twice, too many nodes, and a rack that draws less busy than idle are refused."""
        data = fleet_file()
        site = data["sites"][0]
        if fault == "site twice":
            data["sites"].append(site)
        elif fault == "rack name twice":
            site["racks"].append(site["racks"][0])
        elif fault == "too many":
            site["racks"][0]["count"] = 10_000
        else:
            site["racks"][0]["power"] = "1kW"
        with pytest.raises(FleetInvalid) as caught:
            await bring_in(database, clock, data)
        assert caught.value.hint


class TestEndpoint:
    async def test_the_operator_imports(self, database: Database, clock: ManualClock) -> None:
        """The answer says what was done; sites then show, with their grid's carbon."""
        app = api(database, clock)
        done = await call(app, "POST", "/fleets", json=fleet_file())
        assert done.status_code == 200
        assert done.json()["sites"][0]["nodes"]["created"] == 36
        (site,) = (await call(app, "GET", "/sites", key="tenant")).json()["items"]
        assert (site["pue_milli"], site["power_cap_watts"]) == (1200, 40_000_000)
        assert site["carbon_milligrams_per_kwh"] == 41_400
        assert "EcoLogits" in site["carbon_source"]

    async def test_nobody_else_does(self, database: Database, clock: ManualClock) -> None:
        """A tenant's key is refused even with the scope, as is one without it."""
        app = api(database, clock)
        tenant = await call(app, "POST", "/fleets", key="tenant", json=fleet_file())
        assert (tenant.status_code, tenant.json()["code"]) == (403, "operator_only")
        guest = await call(app, "POST", "/fleets", key="guest", json=fleet_file())
        assert guest.json()["code"] == "scope_missing"

    async def test_a_bad_key_is_named_in_the_answer(
        self, database: Database, clock: ManualClock
    ) -> None:
        """The problem says which key of which entry is wrong, and which was probably meant."""
        data = fleet_file()
        data["sites"][0]["racks"][0]["coutn"] = 3
        answer = await call(api(database, clock), "POST", "/fleets", json=data)
        assert answer.status_code == 422
        assert "sites.0.racks.0" in answer.json()["detail"]
        assert "did you mean 'count'?" in answer.json()["detail"]
