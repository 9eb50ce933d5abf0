"""`/usage/records`, `/usage/summary` and `/prices`, as a client sees them."""

from datetime import timedelta

import pytest
from tests.billing.api import api
from tests.metering.records import LABEL, NOON, ORGANIZATION, usage

from galerne.billing.prices.service import PriceService
from galerne.db.session import Database, Scope
from galerne.iam.organizations.models import Organization
from galerne.iam.projects.models import Project
from galerne.kit.clock import ManualClock
from galerne.metering.usage.service import UsageService
from galerne.rest.subject import Subject

PROJECT = "prj_01m8165zbrev0tbs5jsgn2vhhr"
READER = Subject(ORGANIZATION, "key_one", frozenset({"usage:read", "prices:read"}))


@pytest.fixture
async def filled(database: Database, clock: ManualClock) -> Database:
    """A database with the default prices, one project and three records, one of another tenant."""
    async with database.write(Scope.system()) as session:
        await PriceService(session, clock).ensure_default()
        session.add(
            Organization(
                id=ORGANIZATION,
                created_at=NOON,
                organization_id=ORGANIZATION,
                legal_name="One",
                country="FR",
                vat_id=None,
                is_operator=False,
            )
        )
        await session.flush()
        session.add(
            Project(
                id=PROJECT,
                created_at=NOON,
                organization_id=ORGANIZATION,
                name="research",
                label=LABEL,
            )
        )
        ours = {"project_id": PROJECT, "quantity": 1_000_000}
        result = await UsageService(session, clock).ingest(
            [
                usage("a", **ours),
                usage("b", **ours, model="other", workload_id="dep_two"),
                usage("c", organization_id="org_two"),
            ]
        )
    assert result.recorded == 3
    return database


class TestRecords:
    async def test_list(self, filled: Database, clock: ManualClock) -> None:
        """A tenant lists its own records, every column of them, page by page."""
        async with api(filled, clock, READER) as client:
            first = (await client.get("/usage/records", params={"limit": 1})).json()
            second = (
                await client.get(
                    "/usage/records", params={"limit": 1, "cursor": first["next_cursor"]}
                )
            ).json()
        items = [*first["items"], *second["items"]]

        assert {item["source_id"] for item in items} == {"a", "b"}
        assert {item["unit"] for item in items} == {"token"}
        assert all(item["label"] == LABEL for item in items)

    @pytest.mark.parametrize("reference", ["research", PROJECT])
    async def test_filters(self, filled: Database, clock: ManualClock, reference: str) -> None:
        """Records are filtered by project, named either way, and by everything else together."""
        wanted = {
            "project": reference,
            "workload_id": "dep_two",
            "meter": "tokens_input",
            "model": "other",
            "since": NOON.isoformat(),
            "until": (NOON + timedelta(seconds=1)).isoformat(),
        }
        async with api(filled, clock, READER) as client:
            answer = (await client.get("/usage/records", params=wanted)).json()

        assert [item["source_id"] for item in answer["items"]] == ["b"]

    async def test_unknown_project(self, filled: Database, clock: ManualClock) -> None:
        """A project that there is not is said to be so, rather than shown as empty."""
        async with api(filled, clock, READER) as client:
            answer = await client.get("/usage/records", params={"project": "nobody"})

        assert answer.status_code == 404
        assert answer.json()["code"] == "project_not_found"

    @pytest.mark.parametrize("path", ["/usage/records", "/usage/summary"])
    async def test_naive_time(self, filled: Database, clock: ManualClock, path: str) -> None:
        """A time without an offset is refused with the place where it stood."""
        async with api(filled, clock, READER) as client:
            answer = await client.get(path, params={"since": "2026-11-22T12:00:00"})

        assert answer.status_code == 422
        assert "since" in answer.json()["detail"]


class TestSummary:
    async def test_totals(self, filled: Database, clock: ManualClock) -> None:
        """Groups and totals carry quantities in the meters' units, and the cost as money."""
        async with api(filled, clock, READER) as client:
            answer = (
                await client.get(
                    "/usage/summary", params={"group_by": "model", "project": "research"}
                )
            ).json()

        assert [(group["key"], group["cost"]["amount_nano"]) for group in answer["groups"]] == [
            ("other", 200_000_000),
            ("smollm2-135m-instruct", 20_000_000),
        ]
        assert answer["totals"]["tokens_input"] == 2_000_000
        assert answer["totals"]["cost"] == {"amount_nano": 220_000_000, "currency": "EUR"}
        assert answer["totals"]["cpu_milliseconds"] == 0
        assert answer["project_id"] == PROJECT
        assert answer["as_of"] == "2026-11-22T12:00:00Z"
        assert answer["others_count"] == 0

    async def test_limit(self, filled: Database, clock: ManualClock) -> None:
        """Groups beyond the limit are summed in `others`: nothing is missing from the totals."""
        async with api(filled, clock, READER) as client:
            answer = (
                await client.get("/usage/summary", params={"group_by": "workload", "limit": 1})
            ).json()
        (shown,) = answer["groups"]

        assert answer["others_count"] == 1
        for name in ("records", "tokens_input"):
            assert shown[name] + answer["others"][name] == answer["totals"][name]


class TestPrices:
    async def test_in_force(self, filled: Database, clock: ManualClock) -> None:
        """The list in force is shown with what each price is for."""
        async with api(filled, clock, READER) as client:
            answer = (await client.get("/prices")).json()
        prices = {
            (price["meter"], price["model"] or price["accelerator_type"]): price
            for price in answer["prices"]
        }

        assert answer["name"] == "default"
        assert answer["effective_to"] is None
        assert prices["accelerator_milliseconds", "GB200"] == {
            "meter": "accelerator_milliseconds",
            "model": None,
            "accelerator_type": "GB200",
            "unit": "millisecond",
            "per": 3_600_000,
            "per_text": "1 accelerator-h",
            "price": {"amount_nano": 5_200_000_000, "currency": "EUR"},
        }
        assert prices["tokens_output", None]["per_text"] == "1 M tokens"

    async def test_before_the_first(self, filled: Database, clock: ManualClock) -> None:
        """Before the first list there are no prices, and the answer says so."""
        async with api(filled, clock, READER) as client:
            answer = await client.get("/prices", params={"at": "2000-01-01T00:00:00Z"})

        assert answer.status_code == 404
        assert answer.json()["code"] == "price_missing"


@pytest.mark.parametrize("path", ["/usage/records", "/usage/summary", "/prices"])
async def test_scope_missing(filled: Database, clock: ManualClock, path: str) -> None:
    """A key without the scope reads nothing."""
    async with api(filled, clock, Subject(ORGANIZATION, "key_two", frozenset())) as client:
        answer = await client.get(path)

    assert answer.status_code == 403
    assert answer.json()["code"] == "scope_missing"
