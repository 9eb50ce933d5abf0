"""What the models API returns."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from galerne.iam.projects.schemas import LabelOut
from galerne.registry.models.models import ModelFormat


class LineageOut(BaseModel):
    """Something that the model came from."""

    kind: Literal["dataset", "model", "job"]
    id: str
    name: str
    version: int | None


class ModelOut(BaseModel):
    """One version of a model: a project's own, or a public one of the operator's catalogue."""

    id: str
    is_public: bool
    project_id: str | None
    name: str
    version: int
    format: ModelFormat
    size_bytes: int
    context_tokens: int | None
    licence: str
    label: LabelOut
    artifact_id: str | None
    lineage: list[LineageOut]
    metrics: dict[str, Any]
    source: dict[str, Any]
    description: str
    created_at: datetime
