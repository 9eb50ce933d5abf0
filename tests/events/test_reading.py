"""Reading the log: each tenant its own, anybody the checkpoint."""

import pytest

from galerne.db.session import Database, Scope
from galerne.events.emit import emit
from galerne.events.errors import NoCheckpoint
from galerne.events.kinds import KINDS, describe
from galerne.events.service import EventService
from galerne.kit.clock import ManualClock
from galerne.rest.subject import Subject


def subject(organization_id: str, project_id: str | None = None) -> Subject:
    return Subject(organization_id, "key_1", frozenset({"events:read"}), project_id)


async def write(
    database: Database, clock: ManualClock, organization_id: str, project_id: str | None, kind: str
) -> None:
    async with database.write(Scope(organization_id)) as session:
        emit(
            session,
            kind,
            subject_id=f"{organization_id}_job",
            organization_id=organization_id,
            project_id=project_id,
            actor="test",
            data={},
            at=clock.now(),
        )


async def kinds_seen(database: Database, who: Subject, kind: str | None = None) -> list[str]:
    async with database.read(who.scope) as session:
        rows = await EventService(session).find(who, kind=kind, limit=10)
        return [row.kind for row in rows]


async def test_tenants_read_their_own(database: Database, clock: ManualClock) -> None:
    """An organization's key reads its entries, newest first; a project's key its project's only."""
    await write(database, clock, "org_1", "prj_1", "job.starting")
    await write(database, clock, "org_1", "prj_2", "job.running")
    await write(database, clock, "org_1", None, "organization.created")
    await write(database, clock, "org_2", "prj_3", "job.failed")
    assert await kinds_seen(database, subject("org_1")) == [
        "organization.created",
        "job.running",
        "job.starting",
    ]
    assert await kinds_seen(database, subject("org_1", "prj_1")) == ["job.starting"]
    assert await kinds_seen(database, subject("org_1", "prj_3")) == []


async def test_kinds_are_filtered(database: Database, clock: ManualClock) -> None:
    """A kind is matched whole; with `.*` it is all of its noun and no other noun."""
    for kind in ("job.starting", "job.running", "jobs_x.running", "lease.held"):
        await write(database, clock, "org_1", None, kind)
    assert await kinds_seen(database, subject("org_1"), "job.running") == ["job.running"]
    assert await kinds_seen(database, subject("org_1"), "job.*") == ["job.running", "job.starting"]
    assert await kinds_seen(database, subject("org_1"), "jobs%.*") == []


async def test_pages_are_complete(database: Database, clock: ManualClock) -> None:
    """Page after page shows every entry once."""
    for _ in range(5):
        await write(database, clock, "org_1", None, "job.running")
    who = subject("org_1")
    seen: list[str] = []
    before: str | None = None
    async with database.read(who.scope) as session:
        while rows := await EventService(session).find(who, limit=2, before=before):
            seen += [row.id for row in rows]
            before = rows[-1].id
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


async def test_without_entries_there_is_no_checkpoint(database: Database) -> None:
    """Before anything was signed the answer says so."""
    async with database.read(Scope.system()) as session:
        with pytest.raises(NoCheckpoint):
            await EventService(session).checkpoint()


def test_every_kind_says_what_it_means() -> None:
    """A kind that is in the table by itself or by its noun has a sentence."""
    assert all(meaning.endswith(".") for meaning in KINDS.values())
    assert describe("job.running") == KINDS["job.*"]
    assert describe("decision.placement") == KINDS["decision.placement"]
    assert describe("weather.changed") is None
