"""The first organization: the operator's own, made when a database is new."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.iam.api_keys.service import ApiKeyService
from galerne.iam.members.schemas import PersonIn
from galerne.iam.members.service import MemberService
from galerne.iam.organizations.schemas import OrganizationCreate
from galerne.iam.organizations.service import OrganizationService
from galerne.iam.projects.service import ProjectService
from galerne.kit.clock import Clock

ACTOR = "bootstrap"
OPERATOR = OrganizationCreate(
    legal_name="Operator of this platform",
    country="FR",
    owner=PersonIn(email="operator@localhost", name="Operator"),
)


async def ensure_operator(
    session: AsyncSession,
    *,
    clock: Clock,
    pepper: bytes,
    operator: OrganizationCreate = OPERATOR,
) -> str | None:
    """Create the operator's organization and return its first key's secret; None if it exists.

    For a system session. Of two processes that do it at once, one creates it.
    """
    members = MemberService(session, clock)
    projects = ProjectService(session, clock)
    keys = ApiKeyService(session, clock, pepper=pepper, members=members, projects=projects)
    organizations = OrganizationService(session, clock, members=members, keys=keys)
    if await organizations.operator() is not None:
        return None
    try:
        founded = await organizations.found(operator, actor=ACTOR, is_operator=True)
    except IntegrityError:
        return None
    return founded.secret
