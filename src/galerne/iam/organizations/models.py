"""The table of organizations. An organization is its own tenant, so that tenancy filters it too."""

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import TenantRecord

NAME_LENGTH_MAX = 200
VAT_ID_LENGTH_MAX = 20


class Organization(TenantRecord):
    """A legal entity: a customer, or the platform's operator, of which there is one."""

    __tablename__ = "organizations"
    __table_args__ = (
        CheckConstraint("organization_id = id", name="own_tenant"),
        Index(
            "ix_organizations_operator",
            "is_operator",
            unique=True,
            sqlite_where=text("is_operator"),
            postgresql_where=text("is_operator"),
        ),
    )
    id_prefix = "org"

    legal_name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    country: Mapped[str] = mapped_column(String(2))
    vat_id: Mapped[str | None] = mapped_column(String(VAT_ID_LENGTH_MAX))
    is_operator: Mapped[bool]
