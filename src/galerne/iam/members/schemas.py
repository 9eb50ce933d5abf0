"""Shapes of members."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from galerne.iam.members.models import EMAIL_LENGTH_MAX, NAME_LENGTH_MAX
from galerne.iam.roles import Role

# One @ between two parts without spaces; whether mail arrives is for the mail to show.
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        pattern=r"^[^@\s]+@[^@\s]+$",
        max_length=EMAIL_LENGTH_MAX,
    ),
]
PersonName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH_MAX)
]


class PersonIn(BaseModel):
    """Who a member is."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    name: PersonName


class MemberCreate(PersonIn):
    """A new member and their role."""

    role: Role


class MemberChange(BaseModel):
    """What changes; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: PersonName | None = None
    role: Role | None = Field(
        default=None, description="Takes effect on the member's keys at once."
    )


class MemberOut(BaseModel):
    """A member."""

    id: str
    organization_id: str
    email: str
    name: str
    role: Role
    created_at: datetime
