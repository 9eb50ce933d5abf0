"""Row-level security: what PostgreSQL itself refuses, when a statement goes round the ORM."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from tests.db.rows import ACME, OTHER, fill
from tests.postgres import PostgresServer

from galerne.db.row_security import tenant_tables, unsecured_tables
from galerne.db.session import Database, Scope, acting_as
from galerne.db.tables import load_tables
from galerne.kit.clock import ManualClock

KEYS = text("SELECT key FROM idempotent_requests ORDER BY key")
PLANT = text(
    "INSERT INTO idempotent_requests (id, created_at, organization_id, key, fingerprint,"
    " response_status, response_body, response_type)"
    " VALUES ('idem_1', now(), :organization_id, 'planted', 'f', 0, '', '')"
)


@pytest.fixture
async def database(
    postgres_server: PostgresServer, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Database]:
    """PostgreSQL only, with one row of each of two tenants, and a pool of one connection to leak by."""
    async with postgres_server.copy(tmp_path) as url:
        opened = Database(url, pool_size=1)
        await fill(opened, clock)
        yield opened
        await opened.close()


async def test_the_role_is_an_ordinary_one(database: Database) -> None:
    """The tests mean something: the product's role neither is superuser nor bypasses policies."""
    role = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    async with database.read(Scope.system()) as session:
        assert await session.scalar(role) is False


async def test_every_tenants_table_is_under_a_policy(database: Database) -> None:
    """No table with tenants' rows was forgotten, also none that a later noun brings."""
    metadata = load_tables()
    assert {"projects", "members", "api_keys", "log_entries"} <= {*tenant_tables(metadata)}
    async with database.engine.connect() as connection:
        assert await connection.run_sync(unsecured_tables, metadata) == {}


async def test_raw_sql_finds_only_its_own(database: Database) -> None:
    """SELECT, UPDATE and DELETE without any filter reach the scope's rows only."""
    async with database.write(Scope(ACME)) as session:
        assert [*(await session.scalars(KEYS))] == ["mine"]
        await session.execute(text("UPDATE idempotent_requests SET key = 'changed'"))
        await session.execute(text("DELETE FROM idempotent_requests WHERE key <> 'changed'"))
    async with database.read(Scope.system()) as session:
        assert [*(await session.scalars(KEYS))] == ["changed", "theirs"]


@pytest.mark.parametrize(
    "statement",
    [PLANT, text("UPDATE idempotent_requests SET organization_id = :organization_id")],
    ids=["insert", "update"],
)
async def test_raw_sql_plants_nothing(database: Database, statement: TextClause) -> None:
    """A row can be neither inserted for another tenant nor handed over to one."""
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.write(Scope(ACME)) as session:
            await session.execute(statement, {"organization_id": OTHER})


async def test_without_a_scope_there_is_nothing(database: Database) -> None:
    """A connection that was told no tenant sees no row and writes none."""
    async with database.engine.connect() as connection:
        assert [*(await connection.scalars(KEYS))] == []
        with pytest.raises(DBAPIError, match="row-level security"):
            await connection.execute(PLANT, {"organization_id": ACME})


async def test_nothing_leaks_across_the_pool(database: Database) -> None:
    """A connection forgets its tenant when its transaction ends, however it ends."""

    async def failing() -> None:
        async with database.write(Scope(OTHER)) as session:
            await session.execute(KEYS)
            raise LookupError

    async def see(organization_id: str) -> list[str]:
        async with database.read(Scope(organization_id)) as session:
            return [*(await session.scalars(KEYS))]

    async with database.read(Scope.system()) as session:
        await session.execute(KEYS)
    with pytest.raises(LookupError):
        await failing()
    async with database.engine.connect() as connection:
        assert [*(await connection.scalars(KEYS))] == []
    seen = await asyncio.gather(*(see((ACME, OTHER)[turn % 2]) for turn in range(20)))
    assert seen == [["mine"], ["theirs"]] * 10


async def test_acting_as_another_moves_the_policy_too(database: Database) -> None:
    """In the block PostgreSQL shows the other tenant's rows, and afterwards again the own."""

    async def fail(session: AsyncSession) -> None:
        async with acting_as(session, Scope.system()):
            raise LookupError

    async with database.read(Scope(ACME)) as session:
        async with acting_as(session, Scope(OTHER)):
            assert [*(await session.scalars(KEYS))] == ["theirs"]
        assert [*(await session.scalars(KEYS))] == ["mine"]
        with pytest.raises(LookupError):
            await fail(session)
        assert [*(await session.scalars(KEYS))] == ["mine"]
