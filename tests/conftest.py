"""What every test may ask for: a database of each kind, made by the migrations, and a clock held still."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests import databases, postgres
from tests.databases import SqliteTemplate, Template
from tests.postgres import PostgresServer

from galerne.db.session import Database
from galerne.kit.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Noon of 22 November 2026, until the test moves it."""
    return ManualClock(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    template = SqliteTemplate(tmp_path_factory.mktemp("sqlite") / "template.db")
    databases.prepare(template.url)
    return template


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    if not postgres.is_installed():
        if postgres.is_required():
            pytest.fail(f"PostgreSQL 15 is required here and not in {postgres.BINARIES}")
        pytest.skip("PostgreSQL 15 is not installed (Debian: apt install postgresql-15)")
    server = PostgresServer()
    try:
        asyncio.run(server.create_role())
        databases.prepare(server.url(postgres.TEMPLATE))
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database_template(request: pytest.FixtureRequest) -> Template:
    """What a test's database is copied from. The server is started when the first test wants it."""
    name = "sqlite_template" if request.param == "sqlite" else "postgres_server"
    template = request.getfixturevalue(name)
    assert isinstance(template, SqliteTemplate | PostgresServer)
    return template


@pytest.fixture
async def database_url(database_template: Template, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database of the test's own, with the schema and no rows."""
    async with database_template.copy(tmp_path) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of the test's own; the test runs once on SQLite and once on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    await opened.close()
