"""Shapes of projects and of their labels."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from galerne.iam.projects.models import NAME_LENGTH_MAX

LABEL_WORDS_MAX = 300
_Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
ProjectName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=NAME_LENGTH_MAX),
]


class LabelIn(BaseModel):
    """Where something may be: countries and zones, and what must be true of who operates there."""

    model_config = ConfigDict(extra="forbid")

    residency: list[_Word] = Field(
        max_length=LABEL_WORDS_MAX,
        description='Countries (ISO 3166-1 alpha-2) or zones (EU, EEA, ADEQUATE), or ["anywhere"].',
        examples=[["FR"], ["EEA"]],
    )
    operator_not_subject_to: list[_Word] = Field(
        default=[],
        max_length=LABEL_WORDS_MAX,
        description="Countries whose law must not reach the operator.",
    )
    certifications: list[_Word] = Field(
        default=[], max_length=LABEL_WORDS_MAX, description="Certifications the site must hold."
    )


class LabelOut(BaseModel):
    """A label, spelt by countries."""

    residency: list[str]
    operator_not_subject_to: list[str]
    certifications: list[str]


class ProjectCreate(BaseModel):
    """What a new project is given. The label has no default: where data may go is for its owner to say."""

    model_config = ConfigDict(extra="forbid")

    name: ProjectName
    label: LabelIn


class ProjectChange(BaseModel):
    """What changes; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: ProjectName | None = None
    label: LabelIn | None = None


class ProjectOut(BaseModel):
    """A project."""

    id: str
    organization_id: str
    name: str
    label: LabelOut
    created_at: datetime
