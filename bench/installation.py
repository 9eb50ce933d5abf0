"""A platform of a benchmark's own: the real parts, wired as `galerne up` wires them, on an empty database."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from tests import postgres
from tests.postgres import PostgresServer

from galerne.catalog.sites.schemas import SiteFacts
from galerne.catalog.sites.service import SiteService
from galerne.compute.jobs.models import Job
from galerne.compute.jobs.schemas import JobCreate
from galerne.compute.jobs.service import JobService
from galerne.compute.nodes.service import NodeService
from galerne.config import Settings, SiteSettings
from galerne.db.session import Scope
from galerne.drivers.base import NodeReport
from galerne.entrypoints.api import build_app
from galerne.entrypoints.preparation import prepare
from galerne.entrypoints.wiring import Platform, api_context, open_platform
from galerne.rest.subject import Subject
from galerne.telemetry import configure_logging
from galerne.worker.loop import Wakeup

SYSTEM = Scope.system()
SITE = "here"
SIMULATED_SITE = "simulated"
SIMULATED_NODES = 100
POSTGRES_URL = os.environ.get("GALERNE_BENCH_POSTGRES")


@dataclass(frozen=True)
class Installation:
    """An open platform with one tenant."""

    platform: Platform
    app: Any
    wakeup: Wakeup
    key: str
    operator_key: str

    def client(self, key: str | None = None) -> httpx2.AsyncClient:
        """Return a client of the API in this very process: no sockets, all of the rest."""
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app),
            base_url="http://bench/api/v1",
            headers={"authorization": f"Bearer {key or self.key}"},
            timeout=60,
        )

    async def tenant(self, name: str) -> str:
        """Create an organization with one project; return its owner's key."""
        async with self.client(self.operator_key) as operator:
            answer = await operator.post(
                "/organizations",
                json={
                    "legal_name": name,
                    "country": "FR",
                    "owner": {"email": "bench@example.fr", "name": "Bench"},
                },
            )
            answer.raise_for_status()
        key = str(answer.json()["secret"])
        async with self.client(key) as owner:
            body = {"name": "main", "label": {"residency": ["FR"]}}
            (await owner.post("/projects", json=body)).raise_for_status()
        return key

    async def subject(self) -> Subject:
        context = self.app.state.context
        found = await context.authenticator.authenticate(self.key)
        assert isinstance(found, Subject)
        return found

    async def submit(self, subject: Subject, body: JobCreate) -> str:
        """Submit through the service, in a transaction of its own."""
        context = self.app.state.context
        async with self.platform.database.write(subject.scope) as session:
            jobs: JobService = context.providers[JobService](session)
            row = await jobs.create(subject, body)
        self.wakeup.wake()  # As a request does that has changed something.
        return row.id

    async def idle(self, seconds: float) -> None:
        """Wait until no job is left that has not ended, looking every so many seconds."""
        statement = select(Job.id).where(Job.ended_at.is_(None)).limit(1)
        left = True
        while left:
            await asyncio.sleep(seconds)
            async with self.platform.database.read(SYSTEM) as session:
                left = await session.scalar(statement) is not None


def job(
    name: str, commands: Sequence[str], *, site: str, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Spell a small job as the API takes it."""
    return {
        "spec": {
            "type": "job",
            "name": name,
            "commands": list(commands),
            "resources": {"cpu": 0.5, "memory": "100MB", "disk": "100MB"},
            "regions": [site],
            "env": dict(env or {}),
            "max_duration": "10m",
            "stop_duration": 1,
        }
    }


@asynccontextmanager
async def installation(
    folder: Path, database_url: str | None = None
) -> AsyncIterator[Installation]:
    """Open a platform below `folder`. Logs as in production, into a file."""
    with (folder / "bench.log").open("w", encoding="utf-8") as log:
        _log_into(log)
        settings = Settings(
            data_dir=folder / "data",
            database_url=database_url,
            site=SiteSettings(name=SITE, country="FR"),
        )
        async with open_platform(settings) as platform:
            operator_key = await prepare(platform)
            assert operator_key, "the database is not empty: give the benchmark one of its own"
            wakeup = Wakeup()
            app = build_app(api_context(platform, changed=wakeup.wake))
            made = Installation(platform, app, wakeup, "", operator_key)
            await _simulate_nodes(platform)
            yield replace(made, key=await made.tenant("Bench"))


def _log_into(file: Any) -> None:
    configure_logging(level="info", as_json=True)
    for handler in logging.getLogger().handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(file)


async def _simulate_nodes(platform: Platform) -> None:
    reports = [
        NodeReport(
            name=f"simulated-{number}",
            cpu_millis=128_000,
            memory_bytes=512 * 10**9,
            disk_bytes=4 * 10**12,
        )
        for number in range(SIMULATED_NODES)
    ]
    async with platform.database.write(SYSTEM) as session:
        sites = SiteService(session, platform.clock)
        operator_id = (await sites.list())[0].operator_id
        facts = SiteFacts(
            name=SIMULATED_SITE,
            country="FR",
            operator="Bench",
            operator_id=operator_id,
            jurisdictions=("FR",),
            grid_zone="FRA",
            pue_milli=1200,
            is_simulated=True,
        )
        site, _ = await sites.ensure(facts)
        await session.flush()
        await NodeService(session, platform.clock).report(site, "fake", reports)


class Bare:
    """The rows of some tables, inserted again with nothing but the database's own driver."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)

    async def reinsert(self, tables: Sequence[str], *, transactions: int) -> float:
        """Take all rows out, insert them in so many transactions, and return the seconds of that."""
        if self._url.get_backend_name() == "sqlite":
            return await asyncio.to_thread(self._sqlite, tables, transactions)
        return await self._postgres(tables, transactions)

    def _sqlite(self, tables: Sequence[str], transactions: int) -> float:
        connection = sqlite3.connect(str(self._url.database), isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        rows: dict[str, list[Any]] = {}
        # The names of tables are ours.
        for table in tables:
            rows[table] = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
        began = time.perf_counter()
        for part in range(transactions):
            connection.execute("BEGIN IMMEDIATE")
            for table, found in rows.items():
                mine = found[part::transactions]
                if mine:
                    marks = ",".join("?" * len(mine[0]))
                    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", mine)  # noqa: S608
            connection.execute("COMMIT")
        seconds = time.perf_counter() - began
        connection.close()
        return seconds

    async def _postgres(self, tables: Sequence[str], transactions: int) -> float:
        url = self._url
        connection = await asyncpg.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            password=url.password,
            database=url.database,
        )
        # Row-level security: the system's own work sees all tenants.
        await connection.execute(
            "SELECT set_config('app.organization', '*', false), set_config('app.project', '*', false)"
        )
        rows: dict[str, list[Any]] = {}
        for table in tables:
            rows[table] = [tuple(row) for row in await connection.fetch(f"SELECT * FROM {table}")]  # noqa: S608
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608
        began = time.perf_counter()
        for part in range(transactions):
            async with connection.transaction():
                for table, found in rows.items():
                    mine = found[part::transactions]
                    if mine:
                        marks = ",".join(f"${number + 1}" for number in range(len(mine[0])))
                        await connection.executemany(
                            f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608
                            mine,
                        )
        seconds = time.perf_counter() - began
        await connection.close()
        return seconds


@asynccontextmanager
async def database(name: str) -> AsyncIterator[str | None]:
    """Yield the URL of an empty database: None for the data directory's own SQLite."""
    if name == "sqlite":
        yield None
        return
    if POSTGRES_URL:
        yield POSTGRES_URL
        return
    server = PostgresServer()
    try:
        await server.create_role()
        yield await server.create_empty()
    finally:
        server.stop()


def databases() -> Sequence[str]:
    """Name the databases that can be measured here."""
    return ("sqlite", "postgresql") if POSTGRES_URL or postgres.is_installed() else ("sqlite",)


async def database_version(platform: Platform) -> str:
    question = "SELECT sqlite_version()" if platform.database.is_sqlite else "SHOW server_version"
    async with platform.database.engine.connect() as connection:
        return str(await connection.scalar(text(question)))
