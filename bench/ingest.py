"""What exactly-once costs: usage ingest against a bare batched insert of the same rows.

    python -m bench.ingest [--records 20000] [--batch 1000] [--rounds 5] [--json FILE]

*insert* hands finished rows to one multi-row INSERT a batch, unchecked: the physical limit of this
database through this driver. *ingest* takes the same records through `UsageService`: validation, ids,
ON CONFLICT by source id, and what was inserted read back. *again* sends them all once more, as a
source does that never heard our answer: nothing may change. Each batch is a transaction of its own and
committed. *summary* rates every record and sums it by model, against *sum*, one SQL aggregate by model
over the same rows; the planner's statistics are fresh for both.

All alternate inside every round on an emptied table; figures are medians over rounds, and ratios
are medians of each round's own ratio. Client CPU is this process's own. SQLite runs in WAL with
synchronous=NORMAL as the product sets it: a commit survives the death of any process. PostgreSQL, with
its own settings, is measured where GALERNE_BENCH_POSTGRES names an empty database of its own
(postgresql+asyncpg://…). Compare figures of one run only.
"""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

from bench.harness import Sample, clocked
from sqlalchemy import Table, delete, func, insert, inspect, select

from galerne.billing.costs.lines import CostFilter, GroupBy
from galerne.billing.costs.service import CostService
from galerne.billing.prices.service import PriceService
from galerne.db.session import Database, Scope
from galerne.db.tables import load_tables
from galerne.kit.clock import SystemClock
from galerne.kit.ids import new_id
from galerne.metering.meters import METERS
from galerne.metering.usage.models import UsageRecord
from galerne.metering.usage.schemas import UsageRecordIn
from galerne.metering.usage.service import UsageService

SYSTEM = Scope.system()
POSTGRES_URL = os.environ.get("GALERNE_BENCH_POSTGRES")
COLUMNS = ("insert", "ingest", "again", "sum", "summary")
ItemT = TypeVar("ItemT")


def main() -> None:
    """Measure each database that there is, print a table, and write JSON where asked."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        urls = {"sqlite": f"sqlite+aiosqlite:///{folder}/bench.db"}
        if POSTGRES_URL:
            urls["postgresql"] = POSTGRES_URL
        databases = {name: asyncio.run(_measure(name, url, options)) for name, url in urls.items()}
    report = {
        "benchmark": "ingest",
        "method": __doc__,
        "records": options.records,
        "batch": options.batch,
        "rounds": options.rounds,
        "python": platform.python_version(),
        "sqlalchemy": version("sqlalchemy"),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "databases": databases,
    }
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=1000, help="records in a transaction")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the report there too")
    return parser.parse_args()


async def _measure(name: str, url: str, options: argparse.Namespace) -> dict[str, Any]:
    database = Database(url)
    await _create_tables(database)
    try:
        rounds = []
        for number in range(options.rounds):
            records = _records(options.records)
            rounds.append(await _round(database, records, batch=options.batch))
            print(f"{name}: round {number + 1} of {options.rounds}", file=sys.stderr)
    finally:
        await _drop_tables(database)
        await database.close()
    return _figures(rounds, options.records)


async def _create_tables(database: Database) -> None:
    async with database.engine.begin() as connection:
        there = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        if there:
            raise SystemExit("the database is not empty: give the benchmark one of its own")
        await connection.run_sync(load_tables().create_all)
    async with database.write(SYSTEM) as session:
        await PriceService(session, SystemClock()).ensure_default()


async def _drop_tables(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(load_tables().drop_all)


def _records(count: int) -> list[UsageRecordIn]:
    """Make what a gateway sends: two token meters a request, of a hundred models' worth of tenants."""
    now = datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251 - a benchmark is about real time
    label = {"residency": ["FR"], "operator_not_subject_to": [], "certifications": []}
    organization_id, project_id, site_id = new_id("org"), new_id("prj"), new_id("site")
    workloads = [new_id("dep") for _ in range(100)]
    requests = [new_id("req") for _ in range(count // 2 + 1)]
    return [
        UsageRecordIn(
            source_id=f"{requests[number // 2]}/{('in', 'out')[number % 2]}",
            organization_id=organization_id,
            project_id=project_id,
            meter=("tokens_input", "tokens_output")[number % 2],
            quantity=number,
            started_at=now,
            ended_at=now + timedelta(milliseconds=number),
            workload_id=workloads[number % 100],
            workload_kind="deployment",
            site_id=site_id,
            model=f"model-{number % 10}",
            key_id="key_bench",
            label=label,
        )
        for number in range(count)
    ]


async def _round(
    database: Database, records: Sequence[UsageRecordIn], *, batch: int
) -> dict[str, Sample]:
    rows = [_row(record) for record in records]
    await _empty(database)
    samples = {"insert": await clocked(lambda: _insert(database, rows, batch=batch))}
    await _empty(database)
    samples["ingest"] = await clocked(
        lambda: _ingest(database, records, batch=batch, recorded=len(records))
    )
    samples["again"] = await clocked(lambda: _ingest(database, records, batch=batch, recorded=0))
    await _analyze(database)
    samples["sum"] = await clocked(lambda: _sum(database, len(records)))
    samples["summary"] = await clocked(lambda: _summary(database, len(records)))
    return samples


async def _empty(database: Database) -> None:
    async with database.write(SYSTEM) as session:
        await session.execute(delete(UsageRecord))


async def _analyze(database: Database) -> None:
    """Give the planner its figures, which a database in use gathers by itself."""
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("ANALYZE")


async def _insert(database: Database, rows: Sequence[dict[str, Any]], *, batch: int) -> None:
    table = cast("Table", UsageRecord.__table__)
    for part in _batches(rows, batch):
        async with database.write(SYSTEM) as session:
            await session.execute(insert(table), list(part))


async def _ingest(
    database: Database, records: Sequence[UsageRecordIn], *, batch: int, recorded: int
) -> None:
    clock = SystemClock()
    total = 0
    for part in _batches(records, batch):
        async with database.write(SYSTEM) as session:
            total += (await UsageService(session, clock).ingest(part)).recorded
    if total != recorded:
        raise SystemExit(f"{total} records were recorded instead of {recorded}")


async def _sum(database: Database, expected: int) -> None:
    statement = select(UsageRecord.model, func.count(), func.sum(UsageRecord.quantity)).group_by(
        UsageRecord.model
    )
    async with database.read(SYSTEM) as session:
        rows = (await session.execute(statement)).all()
    if sum(row[1] for row in rows) != expected:
        raise SystemExit("records are missing")


async def _summary(database: Database, expected: int) -> None:
    async with database.read(SYSTEM) as session:
        found = await CostService(session, SystemClock()).summary(GroupBy.MODEL, CostFilter())
    if found.totals.records != expected or found.totals.unpriced_records:
        raise SystemExit("records are missing or without a price")


def _batches(items: Sequence[ItemT], size: int) -> Iterator[Sequence[ItemT]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _row(record: UsageRecordIn) -> dict[str, Any]:
    columns = {name: getattr(record, name) for name in UsageRecordIn.__slots__}
    return columns | {
        "id": new_id(UsageRecord.id_prefix),
        "created_at": record.ended_at,
        "unit": METERS[record.meter].unit,
    }


def _figures(rounds: Sequence[dict[str, Sample]], records: int) -> dict[str, Any]:
    def median(name: str, attribute: str) -> float:
        return float(statistics.median(getattr(each[name], attribute) for each in rounds))

    def ratio(one: str, other: str) -> float:
        return statistics.median(each[one].seconds / each[other].seconds for each in rounds)

    return {
        "records_per_second": {name: round(records / median(name, "seconds")) for name in COLUMNS},
        "records_per_client_cpu_second": {
            name: round(records / median(name, "cpu_seconds")) for name in COLUMNS[:3]
        },
        "time_ratio_ingest_to_insert": round(ratio("ingest", "insert"), 2),
        "time_ratio_again_to_insert": round(ratio("again", "insert"), 2),
        "time_ratio_summary_to_sum": round(ratio("summary", "sum"), 2),
    }


def _print(report: dict[str, Any]) -> None:
    print(f"{'records/s':14}" + "".join(f"{name:>10}" for name in COLUMNS), end="")
    print(f"{'ingest/insert':>16}{'again/insert':>14}{'summary/sum':>13}")
    for name, figures in report["databases"].items():
        rates = "".join(f"{figures['records_per_second'][each]:>10,}" for each in COLUMNS)
        print(
            f"{name:14}{rates}{figures['time_ratio_ingest_to_insert']:>16}"
            f"{figures['time_ratio_again_to_insert']:>14}{figures['time_ratio_summary_to_sum']:>13}"
        )
    print(
        f"{report['records']} records in batches of {report['batch']}, median of"
        f" {report['rounds']} rounds; {report['cores']} cores, load average"
        f" {report['load_average']:.1f}; time ratios, lower is better"
    )


if __name__ == "__main__":
    main()
