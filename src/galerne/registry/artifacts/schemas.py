"""What goes in and out of the artifacts API."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from galerne.integrations.objectstore.trees import FILES_MAX
from galerne.registry.artifacts.manifest import PATH_LENGTH_MAX, SIZE_BYTES_MAX

SHA256_PATTERN = r"^[0-9a-f]{64}$"


class FileIn(BaseModel):
    """A file of an artifact, whose content was sent as a blob before."""

    model_config = ConfigDict(extra="forbid")

    path: Annotated[str, Field(min_length=1, max_length=PATH_LENGTH_MAX)]
    sha256: Annotated[str, Field(pattern=SHA256_PATTERN)]
    size_bytes: Annotated[int, Field(ge=0, le=SIZE_BYTES_MAX)]
    executable: bool = False


class ArtifactCreate(BaseModel):
    """A directory to keep."""

    model_config = ConfigDict(extra="forbid")

    project: str | None = Field(default=None, description="Name or id; the key's own if left out.")
    files: Annotated[list[FileIn], Field(min_length=1, max_length=FILES_MAX)]


class BlobOut(BaseModel):
    """Content that this organization has sent."""

    sha256: str
    size_bytes: int


class FileOut(BaseModel):
    """A file of an artifact."""

    path: str
    sha256: str
    size_bytes: int
    executable: bool


class ArtifactOut(BaseModel):
    """A directory of files that never changes."""

    id: str
    project_id: str
    digest: str
    size_bytes: int
    files: list[FileOut]
    created_at: datetime
