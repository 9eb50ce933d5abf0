"""What the log's endpoints return."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class EventOut(BaseModel):
    """One entry of the log."""

    id: str
    at: datetime
    kind: str
    meaning: str | None
    subject_id: str
    organization_id: str
    project_id: str | None
    actor: str
    data: dict[str, Any]
    leaf_index: int | None
