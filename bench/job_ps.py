"""`galerne ps`, the real process, with ten thousand jobs and with none."""

import argparse
import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bench.harness import Claim, Report, free_port, median, progress
from bench.installation import SIMULATED_SITE, SYSTEM, Installation, installation, job
from sqlalchemy import insert, inspect, select

from galerne.compute.jobs.models import Job
from galerne.compute.jobs.schemas import JobCreate
from galerne.config import ListenSettings
from galerne.entrypoints.serving import Served, running
from galerne.kit.ids import new_id

PAGE = 100
SELECT = "SELECT * FROM jobs WHERE organization_id = ? ORDER BY id DESC LIMIT ?"
CANDIDATES = ("python, nothing done", "ps with none", "ps with jobs", "ps -a --json with jobs")


async def measure(report: Report, folder: Path, options: argparse.Namespace) -> None:
    rounds = max(min(options.rounds, 3), options.rounds // 4)
    async with installation(folder) as made:
        subject = await made.subject()
        body = JobCreate.model_validate(job("ps", ["true"], site=SIMULATED_SITE))
        await _multiply(made, await made.submit(subject, body), options.jobs)
        nobody = await made.tenant("Nobody")
        listen = ListenSettings(port=free_port())
        commands = {
            CANDIDATES[0]: ([sys.executable, "-c", "pass"], made.key),
            CANDIDATES[1]: (_galerne("ps"), nobody),
            CANDIDATES[2]: (_galerne("ps"), made.key),
            CANDIDATES[3]: (_galerne("ps", "--all", "--json"), made.key),
        }
        seconds: dict[str, list[float]] = {name: [] for name in (*CANDIDATES, "select", "api")}
        async with running([Served("api", made.app, listen)]):
            for number in range(rounds + 1):
                for name, (command, key) in commands.items():
                    environment = _environment(listen.url, key, folder)
                    took = await asyncio.to_thread(_run, command, environment)
                    seconds[name].append(took)
                seconds["select"].append(_select(folder, subject.organization_id))
                seconds["api"].append(await _list(made))
                progress(f"ps: round {number} of {rounds}")
    milliseconds = {name: median(found[1:]) * 1000 for name, found in seconds.items()}
    report.claims += _claims(milliseconds, options.jobs)


def _claims(milliseconds: Mapping[str, float], jobs: int) -> list[Claim]:
    nothing, none, some, everything = (milliseconds[name] for name in CANDIDATES)
    select_page = milliseconds["select"]
    return [
        Claim.of(f"galerne ps, {jobs:,} jobs", "ms", some, "ps with none", none),
        Claim.of(f"galerne ps -a --json, {jobs:,} jobs", "ms", everything, "ps with none", none),
        Claim.of("galerne ps, no jobs", "ms", none, "python -c pass", nothing),
        Claim.of(
            "  the API's answer of 100 jobs",
            "ms",
            milliseconds["api"],
            "SELECT … LIMIT 100",
            select_page,
        ),
    ]


async def _multiply(made: Installation, job_id: str, count: int) -> None:
    """Make copies of one queued job."""
    columns = [column.key for column in inspect(Job).column_attrs]
    async with made.platform.database.write(SYSTEM) as session:
        row = (await session.scalars(select(Job).where(Job.id == job_id))).one()
        values = {name: getattr(row, name) for name in columns}
        copies = [
            {**values, "id": new_id(Job.id_prefix), "name": f"ps-{number}", "lease_id": None}
            for number in range(count - 1)
        ]
        if copies:
            await session.execute(insert(Job), copies)


def _galerne(*arguments: str) -> list[str]:
    code = "import sys; from galerne_client.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *arguments]


def _environment(url: str, key: str, folder: Path) -> dict[str, str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith("GALERNE_")}
    config = str(folder / "client.toml")
    return {**own, "GALERNE_URL": url, "GALERNE_API_KEY": key, "GALERNE_CONFIG": config}


def _run(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    return time.perf_counter() - began


def _select(folder: Path, organization_id: str) -> float:
    connection = sqlite3.connect(folder / "data" / "galerne.db")
    began = time.perf_counter()
    connection.execute(SELECT, (organization_id, PAGE)).fetchall()
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


async def _list(made: Installation) -> float:
    async with made.client() as client:
        began = time.perf_counter()
        (await client.get("/jobs", params={"limit": PAGE})).raise_for_status()
        return time.perf_counter() - began
