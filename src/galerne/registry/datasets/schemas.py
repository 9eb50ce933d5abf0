"""What goes in and out of the datasets API."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from galerne.iam.projects.schemas import LabelIn, LabelOut
from galerne.registry.fields import Description, FreeForm, Licence, RegistryName


class DatasetCreate(BaseModel):
    """A new version of a dataset. Whoever gives it must know its licence."""

    model_config = ConfigDict(extra="forbid")

    project: str | None = Field(default=None, description="Name or id; the key's own if left out.")
    name: RegistryName
    artifact_id: str
    licence: Licence
    label: LabelIn | None = Field(
        default=None, description="Narrows the project's label; it never widens it."
    )
    source: FreeForm = Field(default={}, description="Where it came from, in your words.")
    description: Description = ""


class DatasetOut(BaseModel):
    """One version of a dataset."""

    id: str
    project_id: str
    name: str
    version: int
    artifact_id: str
    size_bytes: int
    licence: str
    label: LabelOut
    source: dict[str, Any]
    description: str
    created_at: datetime
