"""Tables of blobs and artifacts. The bytes are in the object store; here is who may name them."""

from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, ProjectRecord, TenantRecord
from galerne.db.types import Json, JsonObject

SOURCE_ID_LENGTH = 200
SHA256_LENGTH = 64


class Blob(TenantRecord):
    """Content that an organization has sent. Whoever has not sent it cannot name it by its digest.

    The store keeps equal content of several tenants once; this row is what a tenant sees of it. A key
    that is bound to a project proves for that project only, hence the column beside the tenant's.
    """

    __tablename__ = "blobs"
    __table_args__ = (UniqueConstraint("organization_id", "sent_for", "sha256"),)
    id_prefix = "blob"

    sent_for: Mapped[str] = mapped_column(String(ID_LENGTH))  # A project's id, or empty: any.
    sha256: Mapped[str] = mapped_column(String(SHA256_LENGTH))
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class Artifact(ProjectRecord):
    """A directory of files, unchangeable: its manifest says path, digest and size of each."""

    __tablename__ = "artifacts"
    __table_args__ = (UniqueConstraint("project_id", "source_id"),)
    id_prefix = "art"

    digest: Mapped[str] = mapped_column(String(SHA256_LENGTH))  # Of the manifest: the tree's name.
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    files_count: Mapped[int] = mapped_column()
    manifest: Mapped[list[JsonObject]] = mapped_column(Json)
    source_id: Mapped[str | None] = mapped_column(String(SOURCE_ID_LENGTH))  # What made it, once.
