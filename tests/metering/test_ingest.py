"""Usage is taken in exactly once, and what cannot be true is refused with its reason."""

import asyncio
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.metering.records import NOON, ORGANIZATION, PROJECT, usage

from galerne.db.session import Database, Scope, TenancyError
from galerne.kit.clock import Clock
from galerne.metering.usage.models import UsageRecord
from galerne.metering.usage.repository import ROWS_PER_STATEMENT_MAX, UsageFilter
from galerne.metering.usage.schemas import Ingested, UsageRecordIn
from galerne.metering.usage.service import UsageService
from galerne.metering.usage.validation import CLOCK_SKEW_SECONDS_MAX, QUANTITY_MAX, problem

SYSTEM = Scope.system()
BAD: list[tuple[dict[str, Any], str]] = [
    ({"source_id": ""}, "usage_source_id_invalid"),
    ({"source_id": "x" * 201}, "usage_source_id_invalid"),
    ({"source_id": "req\x00"}, "usage_source_id_invalid"),
    ({"source_id": "req\ud800"}, "usage_source_id_invalid"),
    ({"meter": "gpu_hours"}, "usage_meter_unknown"),
    ({"quantity": -1}, "usage_quantity_negative"),
    ({"quantity": QUANTITY_MAX + 1}, "usage_quantity_too_large"),
    ({"quantity": 2**200}, "usage_quantity_too_large"),
    ({"quantity": 1.5}, "usage_quantity_not_integer"),
    ({"quantity": float("nan")}, "usage_quantity_not_integer"),
    ({"quantity": True}, "usage_quantity_not_integer"),
    ({"energy_microwatt_hours": -1}, "usage_quantity_negative"),
    ({"carbon_micrograms": QUANTITY_MAX + 1}, "usage_quantity_too_large"),
    ({"started_at": NOON.replace(tzinfo=None)}, "usage_time_naive"),
    ({"ended_at": NOON - timedelta(hours=1)}, "usage_window_reversed"),
    (
        {"ended_at": NOON + timedelta(seconds=CLOCK_SKEW_SECONDS_MAX + 1)},
        "usage_from_the_future",
    ),
    ({"model": None}, "usage_selector_missing"),
    ({"meter": "accelerator_milliseconds"}, "usage_selector_missing"),
    ({"workload_id": "w" * 65}, "usage_text_invalid"),
    ({"model": "m" * 201}, "usage_text_invalid"),
    ({"model": "m\n"}, "usage_text_invalid"),
]


async def ingest(database: Database, clock: Clock, *records: UsageRecordIn) -> Ingested:
    async with database.write(SYSTEM) as session:
        return await UsageService(session, clock).ingest(records)


async def stored_quantity(database: Database) -> tuple[int, int]:
    async with database.read(SYSTEM) as session:
        count, total = (
            await session.execute(select(func.count(), func.sum(UsageRecord.quantity)))
        ).one()
        return count, int(total or 0)


class TestIngest:
    async def test_twice(self, database: Database, clock: Clock) -> None:
        """A batch that is sent again changes nothing and is counted as repeated."""
        batch = [usage(f"req_{number}", quantity=number) for number in range(5)]
        first = await ingest(database, clock, *batch)
        again = await ingest(database, clock, *batch)

        assert first == Ingested(recorded=5, repeated=0, refused=())
        assert again == Ingested(recorded=0, repeated=5, refused=())
        assert await stored_quantity(database) == (5, 10)

    async def test_within_one_batch(self, database: Database, clock: Clock) -> None:
        """A record that stands twice in one batch, even as the same object, counts once."""
        record = usage("req_1")
        result = await ingest(database, clock, record, record, usage("req_1"))

        assert result == Ingested(recorded=1, repeated=2, refused=())

    async def test_large_batch(self, database: Database, clock: Clock) -> None:
        """A batch larger than one statement is taken in whole, half of it being known already."""
        batch = [usage(f"req_{n}", quantity=1) for n in range(2 * ROWS_PER_STATEMENT_MAX + 7)]
        await ingest(database, clock, *batch[::2])
        result = await ingest(database, clock, *batch)

        assert result.recorded == len(batch[1::2])
        assert result.repeated == len(batch[::2])
        assert await stored_quantity(database) == (len(batch), len(batch))

    async def test_nothing(self, database: Database, clock: Clock) -> None:
        """An empty batch is taken in, and nothing comes of it."""
        assert await ingest(database, clock) == Ingested(0, 0, ())

    async def test_reads_back(self, database: Database, clock: Clock) -> None:
        """Everything that the source said is on the row, with the meter's unit beside it."""
        record = usage(
            "att_1:0/energy",
            meter="energy",
            energy_microwatt_hours=100,
            energy_method="measured",
            energy_note="read by RAPL",
            carbon_micrograms=5,
            carbon_source="somebody, 2024",
        )
        await ingest(database, clock, record)
        async with database.read(SYSTEM) as session:
            (row,) = await UsageService(session, clock).page(UsageFilter(), limit=10)
            read = {name: getattr(row, name) for name in asdict(record)}
            added = row.unit, row.created_at

        assert read == asdict(record)
        assert added == ("microwatt-hour", clock.now())

    async def test_two_at_once(self, database: Database, clock: Clock) -> None:
        """Two batches with the same records, taken in at once in opposite orders, count once."""
        batch = [usage(f"req_{number}", quantity=1) for number in range(300)]
        results = await asyncio.gather(
            ingest(database, clock, *batch), ingest(database, clock, *reversed(batch))
        )

        assert sum(result.recorded for result in results) == 300
        assert sum(result.repeated for result in results) == 300
        assert await stored_quantity(database) == (300, 300)

    async def test_rolled_back(self, database: Database, clock: Clock) -> None:
        """A batch whose transaction failed left nothing, and can be sent again."""

        class PowerCutError(Exception):
            pass

        async def cut() -> None:
            async with database.write(SYSTEM) as session:
                await UsageService(session, clock).ingest([usage("req_1")])
                raise PowerCutError

        with pytest.raises(PowerCutError):
            await cut()

        assert (await ingest(database, clock, usage("req_1"))).recorded == 1


class TestConflicts:
    @pytest.mark.parametrize(
        "change",
        [
            {"quantity": 101},
            {"meter": "tokens_output"},
            {"ended_at": NOON + timedelta(microseconds=1)},
            {"model": "another"},
            {"project_id": "prj_two"},
            {"label": {"residency": ["DE"]}},
        ],
    )
    async def test_other_content(
        self, database: Database, clock: Clock, change: dict[str, Any]
    ) -> None:
        """A known id with other content is refused; the first record and the others of the batch stand."""
        await ingest(database, clock, usage("req_1"))
        result = await ingest(
            database, clock, usage("req_0"), usage("req_1", **change), usage("req_2")
        )

        assert result.recorded == 2
        assert [refused.error.code for refused in result.refused] == ["usage_conflict"]
        assert await stored_quantity(database) == (3, 300)

    async def test_within_one_batch(self, database: Database, clock: Clock) -> None:
        """Of two records with one id in one batch the first is taken and the other refused."""
        result = await ingest(database, clock, usage("req_1"), usage("req_1", quantity=7))

        assert (result.recorded, result.repeated) == (1, 0)
        assert [refused.record.quantity for refused in result.refused] == [7]
        assert await stored_quantity(database) == (1, 100)

    async def test_is_kept_once(self, database: Database, clock: Clock) -> None:
        """A refused record is kept whole with its reason; refused again, it is kept once."""
        await ingest(database, clock, usage("req_1"))
        for _ in range(3):
            await ingest(database, clock, usage("req_1", quantity=7))
        async with database.read(SYSTEM) as session:
            (refusal,) = await UsageService(session, clock).refusals(limit=10)

            assert refusal.code == "usage_conflict"
            assert refusal.source_id == "req_1"
            assert refusal.record["quantity"] == 7
            assert refusal.record["ended_at"] == NOON.isoformat()
            assert refusal.organization_id == ORGANIZATION


class TestValidation:
    @pytest.mark.parametrize(("change", "code"), BAD)
    def test_refused(self, change: dict[str, Any], code: str) -> None:
        """What cannot be true is refused by a code, with a hint of what would help."""
        error = problem(replace(usage("req_bad"), **change), now=NOON)

        assert error is not None
        assert error.code == code
        assert error.hint

    async def test_others_are_taken(self, database: Database, clock: Clock) -> None:
        """Refused records stop none of their batch, and every one is kept with its reason."""
        bad = [replace(usage(f"req_{number}"), **change) for number, (change, _) in enumerate(BAD)]
        result = await ingest(database, clock, usage("req_a"), *bad, usage("req_b"))

        assert result.recorded == 2
        assert [refused.error.code for refused in result.refused] == [code for _, code in BAD]
        async with database.read(SYSTEM) as session:
            kept = await UsageService(session, clock).refusals(limit=len(BAD) + 1)
            assert sorted(row.code for row in kept) == sorted(code for _, code in BAD)

    @pytest.mark.parametrize(
        "change",
        [
            {"quantity": QUANTITY_MAX},
            {"quantity": 0},
            {"started_at": NOON, "ended_at": NOON},
            {"ended_at": NOON + timedelta(seconds=CLOCK_SKEW_SECONDS_MAX)},
            {"source_id": "x" * 200},
        ],
    )
    def test_bounds(self, change: dict[str, Any]) -> None:
        """What lies just on a bound is taken."""
        assert problem(replace(usage("req_1"), **change), now=NOON) is None

    async def test_late_record(self, database: Database, clock: Clock) -> None:
        """A record that comes a year late is taken: it was used all the same."""
        then = datetime(2025, 11, 22, tzinfo=NOON.tzinfo)
        result = await ingest(database, clock, usage("req_1", started_at=then, ended_at=then))

        assert result.recorded == 1


class TestTenancy:
    @pytest.mark.parametrize(
        "scope", [Scope("org_two"), Scope(ORGANIZATION, "prj_two")], ids=["organization", "project"]
    )
    async def test_foreign_record(self, database: Database, clock: Clock, scope: Scope) -> None:
        """A record of another tenant cannot be written in a tenant's session."""
        async with database.write(scope) as session:
            with pytest.raises(TenancyError):
                await UsageService(session, clock).ingest([usage("req_1")])

    async def test_foreign_id(self, database: Database, clock: Clock) -> None:
        """An id that another tenant's record has is a conflict, and shows nothing of that record."""
        await ingest(database, clock, usage("req_1", organization_id="org_two"))
        async with database.write(Scope(ORGANIZATION, PROJECT)) as session:
            result = await UsageService(session, clock).ingest([usage("req_1")])

        assert [refused.error.code for refused in result.refused] == ["usage_conflict"]


class TestPage:
    async def test_filters(self, database: Database, clock: Clock) -> None:
        """Each filter leaves what it names; the end of a period is not part of it."""
        await ingest(
            database,
            clock,
            usage("a", model="one", workload_id="dep_a"),
            usage("b", model="two", ended_at=NOON + timedelta(minutes=1)),
            usage("c", meter="tokens_output", project_id="prj_two"),
        )
        wanted = {
            UsageFilter(model="one"): {"a"},
            UsageFilter(workload_id="dep_a"): {"a"},
            UsageFilter(meter="tokens_output"): {"c"},
            UsageFilter(project_id="prj_two"): {"c"},
            UsageFilter(since=NOON + timedelta(minutes=1)): {"b"},
            UsageFilter(until=NOON + timedelta(minutes=1)): {"a", "c"},
            UsageFilter(): {"a", "b", "c"},
        }
        async with database.read(SYSTEM) as session:
            service = UsageService(session, clock)
            found = {
                each: {row.source_id for row in await service.page(each, limit=10)}
                for each in wanted
            }

        assert found == wanted
