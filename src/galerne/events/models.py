"""Tables of the append-only log. Nothing here is ever updated but the place in the tree, once."""

from sqlalchemy import BigInteger, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from galerne.db.base import ID_LENGTH, Base, Record, TenantRecord
from galerne.db.types import Json, JsonObject


class LogEntry(TenantRecord):
    """One thing that happened. `leaf_index` is given by the sequencer after the commit."""

    __tablename__ = "log_entries"
    __table_args__ = (
        Index("ix_log_entries_subject_id_id", "subject_id", "id"),
        Index("ix_log_entries_leaf_index", "leaf_index", unique=True),
        # The sequencer's queue: empty most of the time, however long the log is.
        Index(
            "ix_log_entries_pending",
            "id",
            sqlite_where=text("leaf_index IS NULL"),
            postgresql_where=text("leaf_index IS NULL"),
        ),
    )
    id_prefix = "evt"

    project_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), index=True)
    subject_id: Mapped[str] = mapped_column(String(ID_LENGTH))  # The job, key, node … it is about.
    kind: Mapped[str] = mapped_column(String(100))  # As "job.running" or "decision.placement".
    actor: Mapped[str] = mapped_column(String(ID_LENGTH))  # A key's id, or a process: "worker".
    data: Mapped[JsonObject] = mapped_column(Json)  # Integers, strings, booleans: no floats.
    leaf_index: Mapped[int | None] = mapped_column(BigInteger, default=None)
    leaf_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), default=None)


class TreeNode(Base):
    """The hash of a complete subtree: 2**level leaves, the `position`th of its level (RFC 6962)."""

    __tablename__ = "log_tree_nodes"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class Checkpoint(Record):
    """A signed statement of the tree's size and root, as a C2SP checkpoint note."""

    __tablename__ = "log_checkpoints"
    id_prefix = "ckp"

    tree_size: Mapped[int] = mapped_column(BigInteger, unique=True)
    root: Mapped[bytes] = mapped_column(LargeBinary(32))
    note: Mapped[str] = mapped_column()
