"""Table of datasets. A version never changes; new content is a new version."""

from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, ProjectRecord
from galerne.db.types import Json, JsonObject
from galerne.registry.artifacts.models import SOURCE_ID_LENGTH


class Dataset(ProjectRecord):
    """One version of a dataset."""

    __tablename__ = "datasets"
    __table_args__ = (
        UniqueConstraint("project_id", "name", "version"),
        UniqueConstraint("project_id", "source_id"),
    )
    id_prefix = "dset"

    name: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column()
    artifact_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    licence: Mapped[str] = mapped_column(String(200))
    label: Mapped[JsonObject] = mapped_column(Json)  # Given ∩ the project's.
    source: Mapped[JsonObject] = mapped_column(Json)  # Where it came from, in the giver's words.
    description: Mapped[str] = mapped_column(String(2000))
    source_id: Mapped[str | None] = mapped_column(String(SOURCE_ID_LENGTH))  # What made it, once.
