"""What must hold of usage and money, whatever arrives: exactly once, and to the nano-euro.

Each example works under an organization of its own, so that all may share one database.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.billing.lists import START, price_list
from tests.metering.records import NOON, usage

from galerne.billing.costs.lines import CostFilter, GroupBy
from galerne.billing.costs.service import CostService
from galerne.billing.prices.service import PriceService
from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock
from galerne.kit.ids import new_id
from galerne.metering.meters import METERS
from galerne.metering.usage.schemas import UsageRecordIn
from galerne.metering.usage.service import UsageService
from galerne.metering.usage.validation import QUANTITY_MAX

SYSTEM = Scope.system()
CHANGES = (NOON - timedelta(days=10), NOON - timedelta(hours=1))
PROPERTY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

quantities = st.one_of(st.integers(0, 10_000_000), st.integers(0, QUANTITY_MAX))
ends = st.one_of(
    st.sampled_from([*CHANGES, *(change - timedelta(microseconds=1) for change in CHANGES)]),
    st.datetimes(START.replace(tzinfo=None), NOON.replace(tzinfo=None)).map(
        lambda time: time.replace(tzinfo=NOON.tzinfo)
    ),
)
records = st.builds(
    lambda meter, quantity, ended_at, model, kind, workload, project: usage(
        "to be named",
        meter=meter,
        quantity=quantity,
        started_at=START,
        ended_at=ended_at,
        model=model,
        accelerator_type=kind,
        workload_id=workload,
        project_id=project,
    ),
    st.sampled_from(sorted(METERS)),
    quantities,
    ends,
    st.sampled_from(["mistral", "smollm", "unpriced"]),
    st.sampled_from(["B200", "H100", "Unheard"]),
    st.sampled_from(["job_1", "job_2", "dep_1"]),
    st.sampled_from(["prj_1", "prj_2"]),
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[UsageRecordIn], list[list[UsageRecordIn]]]:
    """Draw records, and batches that bring each of them at least once, in any order."""
    drawn = draw(st.lists(records, min_size=1, max_size=20))
    named = [replace(record, source_id=str(number)) for number, record in enumerate(drawn)]
    again = draw(st.lists(st.sampled_from(named), max_size=20))
    sent = draw(st.permutations([*named, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    bounds = [0, *cuts, len(sent)]
    return named, [sent[start:end] for start, end in pairwise(bounds)]


def of(organization_id: str, record: UsageRecordIn) -> UsageRecordIn:
    return replace(
        record,
        organization_id=organization_id,
        source_id=f"{organization_id}/{record.source_id}",
    )


async def publish_prices(database: Database, clock: ManualClock) -> None:
    """Publish three lists of awkward prices, of which two begin amid the records."""
    clock.advance(-365 * 24 * 3600)
    async with database.write(SYSTEM) as session:
        prices = PriceService(session, clock)
        if await prices.check():
            for number, start in enumerate((START, *CHANGES)):
                await prices.publish(
                    price_list(
                        f"list {number}",
                        effective_from=start,
                        default_nano=999_999_937 + number,
                        named={
                            ("tokens_input", "mistral"): 3 + number,
                            ("tokens_output", "smollm"): 499_999_993,
                            ("accelerator_milliseconds", "B200"): 4_600_000_003,
                        },
                    )
                )
    clock.advance(365 * 24 * 3600)


@PROPERTY
@given(delivery=deliveries())
async def test_exactly_once(
    database: Database,
    clock: ManualClock,
    delivery: tuple[list[UsageRecordIn], list[list[UsageRecordIn]]],
) -> None:
    """Whatever the order, the batches and the repetitions, totals are those of the records, once each."""
    named, batches = delivery
    organization_id = new_id("org")
    recorded = repeated = 0
    for batch in batches:
        async with database.write(SYSTEM) as session:
            service = UsageService(session, clock)
            result = await service.ingest([of(organization_id, record) for record in batch])
        assert not result.refused
        recorded += result.recorded
        repeated += result.repeated
    async with database.read(Scope(organization_id)) as session:
        found = await CostService(session, clock).summary(GroupBy.METER, CostFilter())
    expected: Counter[str] = Counter()
    for record in named:
        expected[record.meter] += record.quantity

    assert recorded == len(named)
    assert recorded + repeated == sum(map(len, batches))
    assert found.totals.records == len(named)
    assert found.totals.quantities == expected


@PROPERTY
@given(drawn=st.lists(records, min_size=1, max_size=30))
async def test_money_is_neither_made_nor_lost(
    database: Database, clock: ManualClock, drawn: list[UsageRecordIn]
) -> None:
    """What the database sums is what rating each record gives, and the same however it is grouped."""
    await publish_prices(database, clock)
    organization_id = new_id("org")
    named = [
        of(
            organization_id,
            replace(record, source_id=str(number), quantity=record.quantity % 10**9),
        )
        for number, record in enumerate(drawn)
    ]
    async with database.write(SYSTEM) as session:
        await UsageService(session, clock).ingest(named)
        prices = PriceService(session, clock)
        rated = sum([(await prices.rate(record)).nano for record in named])
    async with database.read(Scope(organization_id)) as session:
        costs = CostService(session, clock)
        found = [await costs.summary(group_by, CostFilter()) for group_by in GroupBy]

    for summary in found:
        assert summary.totals.cost_nano == rated
        assert summary.totals.unpriced_records == 0
        assert sum(sums.cost_nano for _, sums in summary.groups) == rated
        for shown in range(3):
            first = sum(sums.cost_nano for _, sums in summary.groups[:shown])
            assert first + summary.others(shown).cost_nano == rated


@PROPERTY
@given(drawn=st.lists(records, min_size=1, max_size=30))
async def test_parts_make_the_whole(
    database: Database, clock: ManualClock, drawn: list[UsageRecordIn]
) -> None:
    """Periods that touch part the records between them: their costs add up to that of all."""
    await publish_prices(database, clock)
    organization_id = new_id("org")
    async with database.write(SYSTEM) as session:
        await UsageService(session, clock).ingest(
            [
                of(organization_id, replace(record, source_id=str(number)))
                for number, record in enumerate(drawn)
            ]
        )
    bounds = [None, *CHANGES, NOON, None]
    async with database.read(Scope(organization_id)) as session:
        costs = CostService(session, clock)
        parts = [
            await costs.summary(GroupBy.DAY, CostFilter(since=since, until=until))
            for since, until in pairwise(bounds)
        ]
        whole = await costs.summary(GroupBy.DAY, CostFilter())

    assert sum(part.totals.cost_nano for part in parts) == whole.totals.cost_nano
    assert sum(part.totals.records for part in parts) == len(drawn)
