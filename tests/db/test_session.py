"""Sessions: what a scope lets through, whatever the shape of the statement, on both databases."""

import pytest
from sqlalchemy import Select, delete, exists, func, insert, literal, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from tests.db.rows import ACME, OTHER, fill, request_row

from galerne.db.session import Database, Scope, TenancyError, acting_as, on_commit, scope_of
from galerne.kit.clock import ManualClock
from galerne.rest.idempotency import IdempotentRequest as Row

_twin = aliased(Row)
_cte = select(Row.key).cte()
_sub = select(Row.key).subquery()

READS: dict[str, Select[str]] = {
    "columns": select(Row.key),
    "aliased": select(_twin.key),
    "or true": select(Row.key).where((Row.key == "x") | literal(value=True)),
    "subquery": select(_sub.c.key),
    "cte": select(_cte.c.key),
    "self join": select(_twin.key).select_from(Row).join(_twin, literal(value=True)),
    "outer join": select(func.coalesce(_twin.key, "mine"))
    .select_from(Row)
    .outerjoin(_twin, _twin.key != Row.key),
    "in": select(Row.key).where(Row.key.in_(select(_twin.key))),
    "union": select(union_all(select(Row.key), select(_twin.key)).subquery().c.key),
}


class TestRead:
    @pytest.mark.parametrize("shape", READS)
    async def test_no_shape_of_statement_finds_anothers_row(
        self, database: Database, clock: ManualClock, shape: str
    ) -> None:
        """Columns, aliases, joins, subqueries, CTEs and unions see the scope's rows only."""
        await fill(database, clock)
        async with database.read(Scope(ACME)) as session:
            assert {*(await session.scalars(READS[shape]))} == {"mine"}

    async def test_existence_is_not_revealed(self, database: Database, clock: ManualClock) -> None:
        """EXISTS, count and scalar subqueries know nothing of another tenant's rows."""
        await fill(database, clock)
        theirs = select(Row.id).where(Row.key == "theirs")
        async with database.read(Scope(ACME)) as session:
            assert await session.scalar(select(exists(theirs))) is False
            assert await session.scalar(select(func.count()).select_from(Row)) == 1
            assert await session.scalar(select(theirs.scalar_subquery())) is None

    async def test_get_by_id(self, database: Database, clock: ManualClock) -> None:
        """`session.get` of another tenant's id finds nothing."""
        await fill(database, clock)
        async with database.read(Scope.system()) as session:
            ids = {row.key: row.id for row in await session.scalars(select(Row))}
        async with database.read(Scope(ACME)) as session:
            assert await session.get(Row, ids["theirs"]) is None
            assert await session.get(Row, ids["mine"]) is not None

    async def test_rows_stay_readable(self, database: Database, clock: ManualClock) -> None:
        """What a query loaded can be used after its session has closed."""
        await fill(database, clock)
        async with database.read(Scope(ACME)) as session:
            row = await session.scalar(select(Row))
        assert row is not None
        assert row.key == "mine"

    async def test_changes_nothing(self, database: Database, clock: ManualClock) -> None:
        """What a read session changed is rolled back."""
        async with database.read(Scope(ACME)) as session:
            session.add(request_row(clock, ACME, "lost"))
            await session.flush()
        assert await _keys(database) == []


class TestWrite:
    async def test_update_and_delete_pass_others_by(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Statements that name no tenant change the scope's rows only."""
        await fill(database, clock)
        async with database.write(Scope(ACME)) as session:
            await session.execute(update(Row).values(key="changed"))
        assert await _keys(database) == ["changed", "theirs"]
        async with database.write(Scope(ACME)) as session:
            await session.execute(delete(Row))
        assert await _keys(database) == ["theirs"]

    async def test_a_foreign_row_is_refused(self, database: Database, clock: ManualClock) -> None:
        """A row of another tenant is neither added nor handed over."""
        await fill(database, clock)
        with pytest.raises(TenancyError):
            async with database.write(Scope(ACME)) as session:
                session.add(request_row(clock, OTHER, "planted"))

        async def hand_over() -> None:
            async with database.write(Scope(ACME)) as session:
                row = (await session.scalars(select(Row))).one()
                row.organization_id = OTHER

        with pytest.raises(TenancyError):
            await hand_over()
        assert await _keys(database) == ["mine", "theirs"]

    async def test_bulk_statements_hand_nothing_over(
        self, database: Database, clock: ManualClock
    ) -> None:
        """Bulk inserts and updates carry the scope's own organization or are refused."""
        await fill(database, clock)
        columns = {"created_at": clock.now(), "fingerprint": "f", "key": "planted"}
        planted = {"id": "idem_1", "organization_id": OTHER, **columns}
        for statement, rows in (
            (insert(Row), [planted]),
            (insert(Row).values(planted), None),
            (insert(Row).values([planted]), None),
            (insert(Row).values(organization_id=OTHER), [{"id": "idem_1", **columns}]),
            (update(Row).values(organization_id=OTHER), None),
            (update(Row), [{"id": "idem_1", "key": "changed"}]),
        ):
            with pytest.raises(TenancyError):
                async with database.write(Scope(ACME)) as session:
                    await session.execute(statement, rows)
        async with database.write(Scope(ACME)) as session:
            await session.execute(insert(Row), [{**planted, "organization_id": ACME}])
        assert await _keys(database) == ["mine", "planted", "theirs"]

    async def test_an_error_undoes_everything(self, database: Database, clock: ManualClock) -> None:
        """A block that raises leaves no row and calls nothing back."""
        called: list[str] = []

        async def fail() -> None:
            async with database.write(Scope(ACME)) as session:
                session.add(request_row(clock, ACME, "half"))
                on_commit(session, lambda: called.append("committed"))
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        assert await _keys(database) == []
        assert called == []


class TestActingAs:
    async def test_writes_as_another_and_returns(
        self, database: Database, clock: ManualClock
    ) -> None:
        """In the block the session is the other tenant's, before and after it is its own."""
        await fill(database, clock)
        async with database.write(Scope(ACME)) as session:
            async with acting_as(session, Scope(OTHER)):
                session.add(request_row(clock, OTHER, "given"))
                assert {*(await session.scalars(select(Row.key)))} == {"given", "theirs"}
            assert scope_of(session) == Scope(ACME)
            assert [*(await session.scalars(select(Row.key)))] == ["mine"]
            session.add(request_row(clock, ACME, "own"))
        assert await _keys(database) == ["given", "mine", "own", "theirs"]

    async def test_a_failed_block_leaves_nothing_and_returns(
        self, database: Database, clock: ManualClock
    ) -> None:
        """What a block did before it raised is undone, and the scope is the session's own again."""
        await fill(database, clock)

        async def fail(session: AsyncSession) -> None:
            async with acting_as(session, Scope.system()):
                session.add(request_row(clock, OTHER, "half"))
                await session.flush()
                raise LookupError

        async with database.write(Scope(ACME)) as session:
            with pytest.raises(LookupError):
                await fail(session)
            assert [*(await session.scalars(select(Row.key)))] == ["mine"]
            session.add(request_row(clock, ACME, "own"))
        assert await _keys(database) == ["mine", "own", "theirs"]

    async def test_the_others_rows_cannot_be_changed_afterwards(
        self, database: Database, clock: ManualClock
    ) -> None:
        """A row kept from the block is read-only outside it."""
        await fill(database, clock)

        async def keep_and_change() -> None:
            async with database.write(Scope(ACME)) as session:
                async with acting_as(session, Scope(OTHER)):
                    row = (await session.scalars(select(Row))).one()
                row.key = "changed"

        with pytest.raises(TenancyError):
            await keep_and_change()
        assert await _keys(database) == ["mine", "theirs"]


async def _keys(database: Database) -> list[str]:
    async with database.read(Scope.system()) as session:
        return [*(await session.scalars(select(Row.key).order_by(Row.key)))]
