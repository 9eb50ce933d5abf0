"""The route by which a key learns what it is."""

from typing import Annotated

from fastapi import APIRouter, Depends

from galerne.iam.api_keys.endpoints import api_key_out
from galerne.iam.api_keys.service import ApiKeyService
from galerne.iam.members.endpoints import member_out
from galerne.iam.members.service import MemberService
from galerne.iam.organizations.endpoints import organization_out
from galerne.iam.organizations.service import OrganizationService
from galerne.iam.projects.endpoints import project_out
from galerne.iam.projects.service import ProjectService
from galerne.iam.whoami.auth import AnyKey
from galerne.iam.whoami.schemas import WhoAmI
from galerne.rest.provide import provided
from galerne.rest.route import TransactionalRoute

router = APIRouter(prefix="/whoami", tags=["whoami"], route_class=TransactionalRoute)


@router.get("")
async def whoami(
    subject: AnyKey,
    organizations: Annotated[OrganizationService, Depends(provided(OrganizationService))],
    members: Annotated[MemberService, Depends(provided(MemberService))],
    projects: Annotated[ProjectService, Depends(provided(ProjectService))],
    keys: Annotated[ApiKeyService, Depends(provided(ApiKeyService))],
) -> WhoAmI:
    """Say whose key this is and what it may do."""
    key = await keys.get(subject, subject.actor)
    member = await members.get(key.member_id)
    organization = await organizations.get(subject, subject.organization_id)
    bound = None
    if subject.project_id is not None:
        bound = project_out(await projects.get(subject, subject.project_id))
    return WhoAmI(
        organization=organization_out(organization),
        member=member_out(member),
        project=bound,
        api_key=api_key_out(key),
        scopes=sorted(subject.scopes),
    )
