"""The table of API keys."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, TenantRecord
from galerne.db.types import Json, UtcDateTime

NAME_LENGTH_MAX = 100


class ApiKey(TenantRecord):
    """A secret of a member, known to us by its digest alone."""

    __tablename__ = "api_keys"
    id_prefix = "key"

    organization_id: Mapped[str] = mapped_column(
        String(ID_LENGTH), ForeignKey("organizations.id"), index=True
    )
    member_id: Mapped[str] = mapped_column(
        String(ID_LENGTH), ForeignKey("members.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str | None] = mapped_column(
        String(ID_LENGTH), ForeignKey("projects.id"), index=True
    )
    name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    prefix: Mapped[str] = mapped_column(String(8))  # Of the secret, for people to tell keys apart.
    scopes: Mapped[list[str]] = mapped_column(Json)
    models: Mapped[list[str] | None] = mapped_column(Json)  # None: every model.
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
