"""Tables of registered models and of the operator's public catalogue. A version never changes."""

from enum import StrEnum

from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, ProjectRecord, Record
from galerne.db.types import Json, JsonObject, enum_column
from galerne.registry.artifacts.models import SHA256_LENGTH, SOURCE_ID_LENGTH


class ModelFormat(StrEnum):
    """How the weights are stored; a runtime says which it reads."""

    GGUF = "gguf"  # One file, read by llama.cpp.
    SAFETENSORS = "safetensors"  # A directory with configuration and tokenizer.


_FORMAT = enum_column(ModelFormat)


class RegisteredModel(ProjectRecord):
    """One version of a project's model."""

    __tablename__ = "registered_models"
    __table_args__ = (
        UniqueConstraint("project_id", "name", "version"),
        UniqueConstraint("project_id", "source_id"),
    )
    id_prefix = "mdl"

    name: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column()
    artifact_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    format: Mapped[ModelFormat] = mapped_column(_FORMAT)
    licence: Mapped[str] = mapped_column(String(200))
    label: Mapped[JsonObject] = mapped_column(Json)  # The project's ∩ every input's.
    lineage: Mapped[list[JsonObject]] = mapped_column(Json)  # [{kind, id, name, version}]
    metrics: Mapped[JsonObject] = mapped_column(Json)
    context_tokens: Mapped[int | None] = mapped_column()
    description: Mapped[str] = mapped_column(String(2000))
    source_id: Mapped[str | None] = mapped_column(String(SOURCE_ID_LENGTH))  # What made it, once.


class PublicModel(Record):
    """A model that the operator offers to every tenant, with its provenance."""

    __tablename__ = "public_models"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id_prefix = "mdl"

    name: Mapped[str] = mapped_column(String(63))
    version: Mapped[int] = mapped_column()
    format: Mapped[ModelFormat] = mapped_column(_FORMAT)
    path: Mapped[str] = mapped_column(String(1000))  # A file or directory that the nodes can read.
    licence: Mapped[str] = mapped_column(String(200))
    source: Mapped[JsonObject] = mapped_column(Json)  # As {"package": …, "version": …}.
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    context_tokens: Mapped[int | None] = mapped_column()
