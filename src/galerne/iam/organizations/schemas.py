"""Shapes of organizations."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from galerne.iam.api_keys.schemas import ApiKeyOut
from galerne.iam.members.schemas import MemberOut, PersonIn
from galerne.iam.organizations.models import NAME_LENGTH_MAX, VAT_ID_LENGTH_MAX

LegalName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH_MAX)
]


class OrganizationCreate(BaseModel):
    """A new customer and its first owner."""

    model_config = ConfigDict(extra="forbid")

    legal_name: LegalName
    country: Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, max_length=10)]
    vat_id: Annotated[str, StringConstraints(max_length=2 * VAT_ID_LENGTH_MAX)] | None = None
    owner: PersonIn


class OrganizationOut(BaseModel):
    """An organization."""

    id: str
    legal_name: str
    country: str
    vat_id: str | None
    is_operator: bool
    created_at: datetime


class OrganizationCreated(OrganizationOut):
    """A new organization with its owner and the owner's first key.

    The key's secret is shown this once: null where an answer is repeated.
    """

    owner: MemberOut
    api_key: ApiKeyOut
    secret: str | None
