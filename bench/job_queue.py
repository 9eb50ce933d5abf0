"""Thousands of queued jobs on the simulated driver: taking them in, and working them off."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.harness import (
    Claim,
    Report,
    Sample,
    clocked,
    forget_peak,
    peak_resident_bytes,
    progress,
    resident_bytes,
)
from bench.installation import (
    SIMULATED_SITE,
    Bare,
    Installation,
    database,
    database_version,
    databases,
    installation,
    job,
)
from bench.job_start import working
from prometheus_client import REGISTRY

from galerne.compute.jobs.schemas import JobCreate

CALLERS = 8
MINUTES_MAX = 20
SUBMITTED = ("jobs", "capacity_leases", "log_entries")
LEFT = (*SUBMITTED, "job_attempts")
ENV = {"GALERNE_FAKE_RUN_SECONDS": "0"}


async def measure(report: Report, folder: Path, options: argparse.Namespace) -> None:
    for name in options.databases or databases():
        own = folder / name
        own.mkdir()
        async with database(name) as url, installation(own, url) as made:
            version = await database_version(made.platform)
            report.notes.append(f"{name} {version}, {options.jobs} jobs")
            report.claims += await _measure(made, name, options.jobs)


async def _measure(made: Installation, name: str, jobs: int) -> list[Claim]:
    half = jobs // 2
    progress(f"{name}: submitting {jobs} jobs")
    over_http = await clocked(lambda: _submit_http(made, half))
    by_service = await clocked(lambda: _submit_service(made, half))
    bare = Bare(made.platform.settings.database)
    one_each = await bare.reinsert(SUBMITTED, transactions=2 * half)
    looked_before = _reconciliations()
    forget_peak()
    resident = resident_bytes()
    progress(f"{name}: working off {2 * half} jobs")
    worked = await clocked(lambda: _work_off(made))
    peak = peak_resident_bytes()
    looked = _reconciliations() - looked_before
    at_once = await bare.reinsert(LEFT, transactions=1)
    insert = "bare INSERTs, a transaction each"
    return [
        *_rate(f"{name}: submissions through the API", half, over_http, insert, one_each / 2),
        *_rate(f"{name}: submissions to the service", half, by_service, insert, one_each / 2),
        *_rate(
            f"{name}: jobs from queued to ended",
            2 * half,
            worked,
            "bare INSERT of all rows",
            at_once,
        ),
        Claim(f"{name}: reconciliations", "rows/s", looked / worked.seconds),
        Claim(f"{name}:   by CPU", "rows/CPU-s", looked / worked.cpu_seconds),
        Claim(f"{name}: until all had ended", "s", worked.seconds),
        Claim(f"{name}: peak memory", "MB", peak / 1e6, "before it began", resident / 1e6),
    ]


def _rate(what: str, count: int, sample: Sample, peer: str, peer_seconds: float) -> list[Claim]:
    """Give a rate beside the peer's; the ratio is of times, so that lower is better as everywhere."""
    return [
        Claim(
            what,
            "per s",
            count / sample.seconds,
            peer,
            count / peer_seconds,
            sample.seconds / peer_seconds,
        ),
        Claim(f"{what}, by CPU", "per CPU-s", count / sample.cpu_seconds),
    ]


async def _submit_http(made: Installation, count: int) -> None:
    async with made.client() as client:

        async def one(number: int) -> None:
            body = job(f"http-{number}", ["true"], site=SIMULATED_SITE, env=ENV)
            (await client.post("/jobs", json=body)).raise_for_status()

        await _each(one, count)


async def _submit_service(made: Installation, count: int) -> None:
    subject = await made.subject()

    async def one(number: int) -> None:
        body = job(f"service-{number}", ["true"], site=SIMULATED_SITE, env=ENV)
        await made.submit(subject, JobCreate.model_validate(body))

    await _each(one, count)


async def _each(one: Callable[[int], Awaitable[None]], count: int) -> None:
    async def some(first: int) -> None:
        for number in range(first, count, CALLERS):
            await one(number)

    await asyncio.gather(*(some(first) for first in range(CALLERS)))


async def _work_off(made: Installation) -> None:
    async with working(made), asyncio.timeout(60 * MINUTES_MAX):
        await made.idle(0.2)


def _reconciliations() -> float:
    """Ask the platform's own metrics how many rows its passes have looked at."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "galerne_reconcile_rows_total"
    )
