"""Base classes of every table.

`TenantRecord` and `ProjectRecord` are what tenancy hangs on: a session bound to an organization adds
its filter to every statement on them (`db.session`), and PostgreSQL checks again with row-level
security (the migrations create one policy for each of their tables).
"""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from galerne.db.types import UtcDateTime

ID_LENGTH = 64


class Base(DeclarativeBase):
    """Root of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Record(Base):
    """A row with a typed id, made by `kit.ids.new_id(id_prefix)`."""

    __abstract__ = True
    id_prefix: ClassVar[str]

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TenantRecord(Record):
    """A row that belongs to one organization and is invisible to every other."""

    __abstract__ = True

    organization_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)


class ProjectRecord(TenantRecord):
    """A row that belongs to one project of one organization."""

    __abstract__ = True

    project_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
