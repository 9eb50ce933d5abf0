"""The shape of `GET /whoami`."""

from pydantic import BaseModel

from galerne.iam.api_keys.schemas import ApiKeyOut
from galerne.iam.members.schemas import MemberOut
from galerne.iam.organizations.schemas import OrganizationOut
from galerne.iam.projects.schemas import ProjectOut


class WhoAmI(BaseModel):
    """Whose key this is, and what it may do now: the key's scopes as far as its member still holds them."""

    organization: OrganizationOut
    member: MemberOut
    project: ProjectOut | None
    api_key: ApiKeyOut
    scopes: list[str]
