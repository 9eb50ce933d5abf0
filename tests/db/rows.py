"""Rows of two tenants in a real table that needs no noun: idempotent requests."""

from galerne.db.session import Database, Scope
from galerne.kit.clock import ManualClock
from galerne.kit.ids import new_id
from galerne.rest.idempotency import IdempotentRequest

ACME = "org_acme"
OTHER = "org_other"


def request_row(clock: ManualClock, organization_id: str, key: str) -> IdempotentRequest:
    return IdempotentRequest(
        id=new_id("idem"),
        created_at=clock.now(),
        organization_id=organization_id,
        key=key,
        fingerprint="f",
        response_status=200,
        response_body=b"",
        response_type="",
    )


async def fill(database: Database, clock: ManualClock) -> None:
    """Give each of two tenants one row, `mine` of ACME's and `theirs` of OTHER's."""
    async with database.write(Scope.system()) as session:
        session.add(request_row(clock, ACME, "mine"))
        session.add(request_row(clock, OTHER, "theirs"))
