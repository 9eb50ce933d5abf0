"""The table of members."""

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, TenantRecord
from galerne.db.types import enum_column
from galerne.iam.roles import Role

EMAIL_LENGTH_MAX = 254
NAME_LENGTH_MAX = 200


class Member(TenantRecord):
    """A person of an organization. Removing one deletes the row, and with it the person's data and keys."""

    __tablename__ = "members"
    __table_args__ = (UniqueConstraint("organization_id", "email"),)
    id_prefix = "mem"

    organization_id: Mapped[str] = mapped_column(
        String(ID_LENGTH), ForeignKey("organizations.id"), index=True
    )
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH_MAX))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    role: Mapped[Role] = mapped_column(enum_column(Role))
