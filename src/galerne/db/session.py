"""Sessions: one transaction each, bound to a tenant, committed at the edge and nowhere else.

A session is opened with a `Scope`. Every ORM statement on a tenant's table then carries the scope's
filter, whether or not the author of the statement thought of it, and a row of another tenant cannot be
added. On PostgreSQL the same scope is set for the row-level security policies, so that a statement
that went round the ORM finds nothing either.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Insert, Update, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, with_loader_criteria
from sqlalchemy.pool import ConnectionPoolEntry

from galerne.db.base import ProjectRecord, TenantRecord

# Another process may hold the file's lock for so long, and one of our own writers the turn. Both together
# stay below a client's patience, so that a request is answered with 503 and not cut off.
SQLITE_BUSY_SECONDS_MAX = 5
SQLITE_TURN_SECONDS_MAX = 10
_SCOPE = "galerne.scope"
_ON_COMMIT = "galerne.on_commit"
_EVERYTHING = "*"
# As SQLAlchemy names the values of a column: once, or for each row of a multi-row VALUES.
_ORGANIZATION_VALUE = re.compile(r"organization_id(_m\d+)?")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows a session may see: one organization's, one project's, or all (the system's own work)."""

    organization_id: str | None
    project_id: str | None = None

    @classmethod
    def system(cls) -> "Scope":
        return cls(organization_id=None)


class TenancyError(Exception):
    """A row of one tenant was about to be written in a session of another. Always a bug of ours."""


class ScopedSession(Session):
    """The synchronous session beneath every AsyncSession; the events below hang on it."""


class Database:
    """An engine and the way to open sessions on it."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        options: dict[str, Any] = {"pool_size": pool_size}
        if not self.is_sqlite:
            options |= {"max_overflow": pool_size, "pool_pre_ping": True}
        self.engine: AsyncEngine = create_async_engine(url, **options)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _configure_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        self._writer = self.engine.execution_options(galerne_write=True)
        # SQLite has one writer: queueing here is fair and cheap, spinning on the file lock is neither.
        self._write_lock = asyncio.Lock()

    @asynccontextmanager
    async def write(self, scope: Scope) -> AsyncIterator[AsyncSession]:
        """Open a transaction that commits when the block ends and rolls back when it raises."""
        async with AsyncExitStack() as stack:
            if self.is_sqlite:
                await self._take_turn()
                stack.callback(self._write_lock.release)
            session = await stack.enter_async_context(self._session(self._writer, scope))
            async with session.begin():
                yield session
        for callback in session.info.get(_ON_COMMIT, ()):
            callback()

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(SQLITE_TURN_SECONDS_MAX):
                await self._write_lock.acquire()
        except TimeoutError as error:
            raise OperationalError("waiting for the turn to write", None, error) from error

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[AsyncSession]:
        """Open a transaction for queries; whatever it changed is rolled back.

        The rows that it read stay readable afterwards: closing the session rolls back and detaches.
        """
        async with self._session(self.engine, scope) as session:
            yield session

    def _session(self, engine: AsyncEngine, scope: Scope) -> AsyncSession:
        return AsyncSession(
            engine,
            sync_session_class=ScopedSession,
            expire_on_commit=False,
            info={_SCOPE: scope},
        )

    async def ping(self) -> None:
        """Raise what the database raises when it cannot answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()


def scope_of(session: AsyncSession) -> Scope:
    """Return the scope that the session was opened with, or was narrowed to."""
    scope = session.info[_SCOPE]
    assert isinstance(scope, Scope)
    return scope


@asynccontextmanager
async def acting_as(session: AsyncSession, scope: Scope) -> AsyncIterator[None]:
    """Continue the session's transaction in another scope until the block ends.

    For the few verbs of the platform's operator that reach beyond its own organization; the caller
    checks that it is the operator. What the block added is written before the scope returns; where it
    raises, it is undone.
    """
    before = scope_of(session)
    if scope == before:
        yield
        return
    await session.flush()
    session.info[_SCOPE] = scope
    try:
        # Beginning the savepoint tells PostgreSQL the scope; undoing it takes that back as well.
        async with session.begin_nested():
            yield
    finally:
        session.info[_SCOPE] = before
    await (await session.connection()).run_sync(_tell_scope, before)


def on_commit(session: AsyncSession, callback: Callable[[], None]) -> None:
    """Call `callback` once the session has committed; never where it rolls back."""
    callbacks = session.info.setdefault(_ON_COMMIT, [])
    if callback not in callbacks:
        callbacks.append(callback)


def _configure_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:
    del record
    # Off: the driver's own guess at where transactions begin; `_begin_sqlite` says it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_SECONDS_MAX * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: one that begins by reading could not wait for it later.
    write = connection.get_execution_options().get("galerne_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@event.listens_for(ScopedSession, "after_begin")
def _tell_postgres(
    session: Session, transaction: SessionTransaction, connection: Connection
) -> None:
    del transaction
    _tell_scope(connection, session.info[_SCOPE])


def _tell_scope(connection: Connection, scope: Scope) -> None:
    if connection.dialect.name != "postgresql":
        return
    connection.execute(
        text(
            "SELECT set_config('app.organization', :organization, true),"
            " set_config('app.project', :project, true)"
        ),
        {
            "organization": scope.organization_id or _EVERYTHING,
            "project": scope.project_id or _EVERYTHING,
        },
    )


@event.listens_for(ScopedSession, "do_orm_execute")
def _filter_by_tenant(state: ORMExecuteState) -> None:
    scope: Scope = state.session.info[_SCOPE]
    if scope.organization_id is not None:
        organization_id = scope.organization_id
        if state.is_insert or state.is_update:
            _refuse_foreign_values(state, organization_id)
        state.statement = state.statement.options(
            with_loader_criteria(
                TenantRecord,
                lambda table: table.organization_id == organization_id,
                include_aliases=True,
            )
        )
    if scope.project_id is not None:
        project_id = scope.project_id
        state.statement = state.statement.options(
            with_loader_criteria(
                ProjectRecord,
                lambda table: table.project_id == project_id,
                include_aliases=True,
            )
        )


def _refuse_foreign_values(state: ORMExecuteState, organization_id: str) -> None:
    """Check what a bulk statement would write: the filter binds the rows it finds, not its values."""
    mapper = state.bind_mapper
    if mapper is None or not issubclass(mapper.class_, TenantRecord):
        return
    if not state.parameters:
        assert isinstance(state.statement, Insert | Update)
        compiled = state.statement.compile(dialect=state.session.get_bind(mapper).dialect)
        values = {v for k, v in compiled.params.items() if _ORGANIZATION_VALUE.fullmatch(k)}
    elif state.is_insert:
        rows = [state.parameters] if isinstance(state.parameters, Mapping) else state.parameters
        values = {row.get("organization_id") for row in rows}
    else:
        raise TenancyError("an update by primary keys goes round the filter; update by a condition")
    if values - {organization_id}:
        raise TenancyError(f"values of another organization for {mapper.class_.__name__}")


@event.listens_for(ScopedSession, "before_flush")
def _refuse_foreign_rows(session: Session, context: object, instances: object) -> None:
    del context, instances
    scope: Scope = session.info[_SCOPE]
    if scope.organization_id is None:
        return
    for row in (*session.new, *session.dirty):
        if isinstance(row, TenantRecord) and row.organization_id != scope.organization_id:
            raise TenancyError(f"{type(row).__name__} of another organization")
        if (
            scope.project_id is not None
            and isinstance(row, ProjectRecord)
            and row.project_id != scope.project_id
        ):
            raise TenancyError(f"{type(row).__name__} of another project")
