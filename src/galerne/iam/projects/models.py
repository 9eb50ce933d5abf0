"""The table of projects."""

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, TenantRecord
from galerne.db.types import Json, JsonObject
from galerne.sovereignty.labels import Label

NAME_LENGTH_MAX = 63


class Project(TenantRecord):
    """Work and data under one residency label."""

    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("organization_id", "name"),)
    id_prefix = "prj"

    organization_id: Mapped[str] = mapped_column(
        String(ID_LENGTH), ForeignKey("organizations.id"), index=True
    )
    name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    label: Mapped[JsonObject] = mapped_column(Json)  # As Label.as_json.

    def label_value(self) -> Label:
        return Label.from_json(self.label)
