"""Measures the fleet at 18,000 GPUs: importing it, deciding where gangs go, and whole cycles.

    python -m bench.fleet [--rounds 3] [--json FILE] [--database URL]

Method. Every figure is a ratio taken in one run on one machine: the candidates take turns inside each
round, and the median over the rounds is shown. CPU time, the steadier figure on a shared machine, is
that of this process with all its threads; a single decision's is its thread's.

- import: `examples/fleets/essonne.yaml` into an empty database, against one bare `executemany` that
  inserts the same rows with the database's own driver (SQLite only).
- decide: gangs of 1 to 18 nodes with 1 to 4 GPUs on each until the fleet is full, each decision timed,
  against a plain best fit that scans all 4,500 nodes for the same requests.
- full queue: one decision for each of 10,000 waiting leases when nothing is free.
- cycle: leases asked for by eight projects, held by the scheduler with their records, to the commit.
"""

import argparse
import asyncio
import json
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy
import yaml
from sqlalchemy import text

from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.leases.service import LeaseService
from galerne.compute.nodes.fleets.schemas import FleetFile
from galerne.compute.nodes.fleets.service import FleetService
from galerne.compute.scheduling.placement import Board, Placement
from galerne.compute.scheduling.reader import read_fleet
from galerne.compute.scheduling.scheduler import Scheduler
from galerne.compute.scheduling.snapshot import Amount, Fleet, Request, Wish
from galerne.db.session import Database, Scope
from galerne.db.tables import load_tables
from galerne.kit.clock import SystemClock
from galerne.sovereignty.labels import parse_label

FLEET = Path(__file__).parents[1] / "examples" / "fleets" / "essonne.yaml"
FRANCE = parse_label(["FR"])
OPERATOR = "org_operator"
QUEUE = 10_000
CYCLE_LEASES = 2_000
GIGABYTE = 10**9
Figures = dict[str, float]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of `work`."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


async def empty(database: Database) -> None:
    metadata = load_tables()
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)


async def measure_import(database: Database) -> Figures:
    """Time reading the file and importing it, twice."""
    await empty(database)
    figures: Figures = {}
    for name in ("import", "import_again"):
        began, cpu = time.perf_counter(), time.process_time()
        fleet = FleetFile.model_validate(yaml.safe_load(FLEET.read_text("utf-8")))
        figures["parse_seconds"] = time.perf_counter() - began
        async with database.write(Scope(OPERATOR)) as session:
            await FleetService(session, SystemClock()).bring_in(
                fleet, organization_id=OPERATOR, actor="key_bench"
            )
        figures[f"{name}_seconds"] = time.perf_counter() - began
        figures[f"{name}_cpu_seconds"] = time.process_time() - cpu
    return figures


def measure_bare_insert(path: Path) -> Figures:
    """Time one executemany of the rows that are in the table, after emptying it."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        rows = connection.execute("SELECT * FROM nodes").fetchall()
        connection.execute("DELETE FROM nodes")
        marks = ",".join("?" * len(rows[0]))

        def insert() -> None:
            connection.execute("BEGIN IMMEDIATE")
            # The table's name and the number of its columns are ours.
            connection.executemany(f"INSERT INTO nodes VALUES ({marks})", rows)  # noqa: S608
            connection.execute("COMMIT")

        wall, cpu = timed(insert)
        return {"bare_insert_seconds": wall, "bare_insert_cpu_seconds": cpu}


def gangs(count: int, seed: int) -> list[Request]:
    """Return requests for 1 to 18 nodes with 1 to 4 GPUs on each."""
    draw = random.Random(seed)  # noqa: S311 - a reproducible load, not a secret
    made = []
    for number in range(count):
        gpus = draw.choice((1, 2, 4, 4))
        demand = Amount(gpus, gpus * 36_000, gpus * 240 * GIGABYTE, GIGABYTE)
        wish = Wish(demand, FRANCE, "GB200", nodes=draw.choice((1, 1, 2, 4, 9, 18)))
        made.append(Request(f"lse_{number:06d}", wish))
    return made


def measure_decisions(fleet: Fleet, seed: int) -> Figures:
    """Fill the fleet, timing each decision; then decide for a queue that finds it full."""
    requests = gangs(20_000, seed)
    board = Board(fleet)
    seconds: list[float] = []
    cpu_seconds: list[float] = []
    gpus = nodes = 0
    cpu = time.process_time()
    for request in requests:
        began, cpu_began = time.perf_counter(), time.thread_time()
        outcome = board.decide(request)
        if not isinstance(outcome, Placement):
            break
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(time.thread_time() - cpu_began)
        nodes += len(outcome.nodes)
        gpus += len(outcome.nodes) * request.wish.demand.accelerators
    cpu = time.process_time() - cpu
    naive_cpu = timed(lambda: scan(fleet, requests[: len(seconds)]))[1]
    board.place(requests)
    full_queue = timed(lambda: board.place(gangs(QUEUE, seed + 1)))[0]
    seconds.sort()
    cpu_seconds.sort()
    p99 = len(seconds) * 99 // 100
    return {
        "gangs": len(seconds),
        "nodes_per_gang": nodes / len(seconds),
        "gpus_placed": gpus,
        "decision_p50_milliseconds": seconds[len(seconds) // 2] * 1000,
        "decision_p99_milliseconds": seconds[p99] * 1000,
        "decision_p99_cpu_milliseconds": cpu_seconds[p99] * 1000,
        "gangs_per_cpu_second": len(seconds) / cpu,
        "scan_gangs_per_cpu_second": len(seconds) / naive_cpu,
        "full_queue_seconds": full_queue,
    }


def scan(fleet: Fleet, requests: Sequence[Request]) -> None:
    """Place by scanning every node for each request: best fit, with no regard to domains or power."""
    free = [node.free for node in fleet.nodes]
    for request in requests:
        demand = request.wish.demand
        fitting = [number for number, left in enumerate(free) if demand.fits_in(left)]
        fitting.sort(key=free.__getitem__)
        for number in fitting[: request.wish.nodes]:
            free[number] = demand.taken_from(free[number])


async def measure_cycles(database: Database) -> Figures:
    """Ask for leases, then run cycles until all are held."""
    clock = SystemClock()
    async with database.write(Scope.system()) as session:
        leases = LeaseService(session, clock)
        began = time.perf_counter()
        for number, request in enumerate(gangs(CYCLE_LEASES, 0)):
            demand = request.wish.demand
            await leases.request(
                LeaseRequest(
                    cpu_millis=demand.cpu_millis // 4,
                    memory_bytes=GIGABYTE,
                    disk_bytes=GIGABYTE,
                    label=FRANCE,
                    accelerators=1,
                    accelerator_type="GB200",
                    nodes=min(4, request.wish.nodes),
                ),
                organization_id=f"org_{number % 8}",
                project_id=f"prj_{number % 8}",
                workload_id=f"job_{number}",
                unit_id=f"att_{number}",
                actor="key_bench",
            )
    asked = time.perf_counter() - began
    scheduler = Scheduler(database, clock, "bench")
    held = cycles = 0
    wall, cpu = time.perf_counter(), time.process_time()
    while found := await scheduler.run():
        held += found
        cycles += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "leases_asked_per_second": CYCLE_LEASES / asked,
        "leases_held": held,
        "cycles": cycles,
        "leases_held_per_second": held / wall,
        "leases_held_per_cpu_second": held / cpu,
    }


async def read_back(database: Database) -> tuple[Fleet, float]:
    began = time.perf_counter()
    async with database.read(Scope.system()) as session:
        fleet = await read_fleet(session, SystemClock())
    return fleet, time.perf_counter() - began


async def one_round(url: str, path: Path, seed: int) -> Figures:
    database = Database(url)
    figures = await measure_import(database)
    fleet, figures["read_fleet_seconds"] = await read_back(database)
    figures |= measure_decisions(fleet, seed)
    figures |= await measure_cycles(database)
    await database.close()
    if database.is_sqlite:
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM node_holdings")
        figures |= measure_bare_insert(path)
    return figures


async def version_of(url: str) -> str:
    database = Database(url)
    question = "SELECT sqlite_version()" if database.is_sqlite else "SHOW server_version"
    async with database.engine.connect() as connection:
        version = await connection.scalar(text(question))
    await database.close()
    return f"{'SQLite' if database.is_sqlite else 'PostgreSQL'} {version}"


def summarize(rounds: Sequence[Figures]) -> Figures:
    medians = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    ratios = {
        "decisions_against_scan": (
            medians["gangs_per_cpu_second"] / medians["scan_gangs_per_cpu_second"]
        ),
        "decision_p99_against_goal_of_10_milliseconds": medians["decision_p99_milliseconds"] / 10,
        "held_per_second_against_goal_of_370": medians["leases_held_per_second"] / 370,
    }
    if "bare_insert_seconds" in medians:
        ratios["import_against_bare_insert"] = (
            medians["import_cpu_seconds"] / medians["bare_insert_cpu_seconds"]
        )
    return medians | ratios


def main() -> None:
    """Run the rounds, print the table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the report there too")
    parser.add_argument("--database", help="URL of an empty database; a temporary SQLite if absent")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        url = options.database or f"sqlite+aiosqlite:///{path}"
        rounds = [asyncio.run(one_round(url, path, seed)) for seed in range(options.rounds)]
        versions: dict[str, Any] = {
            "python": platform.python_version(),
            "sqlalchemy": sqlalchemy.__version__,
            "database": asyncio.run(version_of(url)),
            "rounds": options.rounds,
        }
    figures = summarize(rounds)
    if options.json:
        report = {"method": __doc__, "versions": versions, "figures": figures}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(__doc__)
    print(", ".join(f"{name} {value}" for name, value in versions.items()))
    for name, value in figures.items():
        print(f"  {name:<48} {value:>14,.3f}")


if __name__ == "__main__":
    main()
