"""Proofs as the platform makes them from its database, verified by the offline verifier."""

from typing import Any

import pytest
from sqlalchemy import text
from tests.sovereignty.bundles import SIGNER, Event, honest_events, submitted

from galerne.db.session import Database, Scope
from galerne.events.emit import emit
from galerne.events.sequencer import Sequencer
from galerne.kit.clock import ManualClock
from galerne.rest.subject import Subject
from galerne.sovereignty.proofs import service
from galerne.sovereignty.proofs.errors import (
    LogDamaged,
    ProofPending,
    ProofSubjectUnknown,
    ProofTooLarge,
)
from galerne.sovereignty.proofs.service import ProofService
from galerne_client.proofs import verify


def subject(organization_id: str = "org_1", project_id: str | None = None) -> Subject:
    return Subject(organization_id, "key_1", frozenset({"events:read"}), project_id)


async def write(
    database: Database,
    clock: ManualClock,
    events: list[Event],
    *,
    organization_id: str = "org_1",
    project_id: str = "prj_1",
) -> None:
    for subject_id, kind, data in events:
        async with database.write(Scope(organization_id)) as session:
            emit(
                session,
                kind,
                subject_id=subject_id,
                organization_id=organization_id,
                project_id=project_id,
                actor="worker",
                data=data,
                at=clock.now(),
            )
        clock.advance(1)


async def prove(database: Database, who: Subject, subject_id: str) -> dict[str, Any]:
    async with database.read(who.scope) as session:
        return (await ProofService(session, SIGNER).prove(who, subject_id)).model_dump()


JOB = submitted()[0]


async def test_a_proof_verifies_offline(database: Database, clock: ManualClock) -> None:
    """The bundle of a whole life verifies without the platform, whatever else the log holds."""
    sequencer = Sequencer(database, clock, SIGNER, "test", batch_entries=3)
    for event in honest_events():
        await write(database, clock, [event])
        await write(database, clock, [("job_2", "job.running", {})], organization_id="org_2")
        await sequencer.run()
    outcome = verify(await prove(database, subject(), JOB), trusted_key=SIGNER.verifier_key)
    assert outcome.failures == ()
    assert outcome.ok
    assert outcome.tree_size == 2 * len(honest_events())


async def test_it_waits_for_the_signature(database: Database, clock: ManualClock) -> None:
    """Entries that are not signed yet are said to be pending; afterwards the proof is whole."""
    sequencer = Sequencer(database, clock, SIGNER, "test")
    await write(database, clock, honest_events()[:3])
    with pytest.raises(ProofPending) as caught:
        await prove(database, subject(), JOB)
    assert caught.value.details == {"entries": 3, "pending": 3}
    assert "ask again" in (caught.value.hint or "")
    await sequencer.run()
    assert verify(await prove(database, subject(), JOB)).ok
    await write(database, clock, honest_events()[3:5])
    with pytest.raises(ProofPending) as caught:
        await prove(database, subject(), JOB)
    assert caught.value.details == {"entries": 5, "pending": 2}


async def test_another_tenants_looks_like_none(database: Database, clock: ManualClock) -> None:
    """A proof about another organization's job, another project's, or nothing is the same answer."""
    await write(database, clock, honest_events())
    await Sequencer(database, clock, SIGNER, "test").run()
    for who, subject_id in [
        (subject("org_2"), JOB),
        (subject(project_id="prj_2"), JOB),
        (subject(), "job_unknown"),
    ]:
        with pytest.raises(ProofSubjectUnknown) as caught:
            await prove(database, who, subject_id)
        assert caught.value.message == f"the log has nothing about {subject_id!r}"
    assert verify(await prove(database, subject(project_id="prj_1"), JOB)).ok


async def test_a_changed_database_is_noticed(database: Database, clock: ManualClock) -> None:
    """An entry that somebody edited below the platform is not proven but reported."""
    await write(database, clock, honest_events())
    await Sequencer(database, clock, SIGNER, "test").run()
    async with database.write(Scope.system()) as session:
        await session.execute(
            text("UPDATE log_entries SET actor = 'nobody' WHERE kind = 'job.submitted'")
        )
    with pytest.raises(LogDamaged, match="no longer says what was signed"):
        await prove(database, subject(), JOB)


async def test_a_proof_is_bounded(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More entries than a proof may hold are refused with a way out, not sent."""
    monkeypatch.setattr(service, "ENTRIES_MAX", 2)
    await write(database, clock, honest_events()[:3])
    with pytest.raises(ProofTooLarge, match="more than 2 entries"):
        await prove(database, subject(), JOB)
