"""Shapes of API keys."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from galerne.iam.api_keys.models import NAME_LENGTH_MAX
from galerne.rest.times import UtcTime

SCOPES_MAX = 50
MODELS_MAX = 200
_Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH_MAX)
]
_Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class ApiKeyCreate(BaseModel):
    """What a new key may do. What is left out is as the member's role and the caller's own key have it."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    member_id: str | None = Field(default=None, description="Whose key it is; else the caller's.")
    project: str | None = Field(default=None, description="Bind it to this project, by id or name.")
    scopes: list[_Word] | None = Field(default=None, min_length=1, max_length=SCOPES_MAX)
    models: list[_Word] | None = Field(
        default=None, max_length=MODELS_MAX, description="The only models it may use."
    )
    expires_at: UtcTime | None = None


class ApiKeyOut(BaseModel):
    """A key, without its secret."""

    id: str
    organization_id: str
    member_id: str
    project_id: str | None
    name: str
    prefix: str
    scopes: list[str]
    models: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiKeyCreated(ApiKeyOut):
    """A new key with its secret, which is shown this once: null where an answer is repeated."""

    secret: str | None
