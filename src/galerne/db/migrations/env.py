"""What Alembic runs for every command: connects, and migrates in one transaction or not at all."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection, inspect, text

from galerne.db import row_security
from galerne.db.session import Database
from galerne.db.tables import load_tables
from galerne.db.types import UtcDateTime

LOCK_TIMEOUT_SECONDS = 10
_MIGRATION_LOCK = 7_406_012_209  # Any number that nothing else of ours locks.


def _render(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Spell our column types by what they are in the database: a revision outlives the code."""
    del autogen
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JSON):
        return "JSON"  # Defined by the template.
    return False


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=load_tables(),
        # SQLite changes a table by copying it, which Alembic calls a batch; new tables need none.
        render_as_batch=inspect(connection).get_table_names() not in ([], ["alembic_version"]),
        transactional_ddl=True,
        compare_type=True,
        render_item=_render,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Two processes may start at once; and a waiting ALTER TABLE must not stop the world.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
            # Data migrations move every tenant's rows.
            connection.execute(text("SELECT set_config('app.organization', '*', true)"))
            connection.execute(text("SELECT set_config('app.project', '*', true)"))
        context.run_migrations()


async def _run() -> None:
    url = context.get_x_argument(as_dictionary=True).get("url") or context.config.get_main_option(
        "sqlalchemy.url"
    )
    assert url, "say which database: alembic -x url=… , or galerne.db.migrate"
    database = Database(url)
    try:
        writer = database.engine.execution_options(galerne_write=True)
        async with writer.begin() as connection:
            await connection.run_sync(_migrate)
    finally:
        await database.close()


assert row_security.POLICY  # Imported for the comparator that it registers.
asyncio.run(_run())
