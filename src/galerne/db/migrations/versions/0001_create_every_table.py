"""Create every table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from galerne.db.row_security import DisableRowSecurity, EnableRowSecurity

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:  # noqa: PLR0915 - one statement a table
    op.create_table(
        "artifacts",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("files_count", sa.Integer(), nullable=False),
        sa.Column("manifest", JSON, nullable=False),
        sa.Column("source_id", sa.String(length=200), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        sa.UniqueConstraint(
            "project_id", "source_id", name=op.f("uq_artifacts_project_id_source_id")
        ),
    )
    op.create_index(
        op.f("ix_artifacts_organization_id"), "artifacts", ["organization_id"], unique=False
    )
    op.create_index(op.f("ix_artifacts_project_id"), "artifacts", ["project_id"], unique=False)
    op.create_table(
        "blobs",
        sa.Column("sent_for", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blobs")),
        sa.UniqueConstraint(
            "organization_id",
            "sent_for",
            "sha256",
            name=op.f("uq_blobs_organization_id_sent_for_sha256"),
        ),
    )
    op.create_index(op.f("ix_blobs_organization_id"), "blobs", ["organization_id"], unique=False)
    op.create_table(
        "capacity_leases",
        sa.Column("workload_id", sa.String(length=64), nullable=False),
        sa.Column("unit_id", sa.String(length=64), nullable=False),
        sa.Column("cpu_millis", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("accelerator_type", sa.String(length=50), nullable=True),
        sa.Column("accelerators", sa.Integer(), nullable=False),
        sa.Column("nodes", sa.Integer(), nullable=False),
        sa.Column("label", JSON, nullable=False),
        sa.Column("site", sa.String(length=63), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("shape", sa.String(length=32), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum("waiting", "held", "released", name="leasestate", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column("waiting", JSON, nullable=True),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("driver", sa.String(length=20), nullable=True),
        sa.Column("node_ids", JSON, nullable=False),
        sa.Column("node_names", JSON, nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_up", sa.Boolean(), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capacity_leases")),
    )
    op.create_index(
        op.f("ix_capacity_leases_organization_id"),
        "capacity_leases",
        ["organization_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_capacity_leases_project_id"), "capacity_leases", ["project_id"], unique=False
    )
    op.create_index(
        "ix_capacity_leases_state_taken_up", "capacity_leases", ["state", "taken_up"], unique=False
    )
    op.create_index(
        op.f("ix_capacity_leases_unit_id"), "capacity_leases", ["unit_id"], unique=False
    )
    op.create_index(
        op.f("ix_capacity_leases_workload_id"), "capacity_leases", ["workload_id"], unique=False
    )
    op.create_table(
        "datasets",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("artifact_id", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("licence", sa.String(length=200), nullable=False),
        sa.Column("label", JSON, nullable=False),
        sa.Column("source", JSON, nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.Column("source_id", sa.String(length=200), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint(
            "project_id", "name", "version", name=op.f("uq_datasets_project_id_name_version")
        ),
        sa.UniqueConstraint(
            "project_id", "source_id", name=op.f("uq_datasets_project_id_source_id")
        ),
    )
    op.create_index(op.f("ix_datasets_artifact_id"), "datasets", ["artifact_id"], unique=False)
    op.create_index(
        op.f("ix_datasets_organization_id"), "datasets", ["organization_id"], unique=False
    )
    op.create_index(op.f("ix_datasets_project_id"), "datasets", ["project_id"], unique=False)
    op.create_table(
        "deployments",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("model", JSON, nullable=False),
        sa.Column("runtime", sa.String(length=20), nullable=False),
        sa.Column("label", JSON, nullable=False),
        sa.Column("submitted_by", sa.String(length=64), nullable=False),
        sa.Column("wanted", sa.String(length=10), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "starting",
                "running",
                "stopping",
                "stopped",
                "failed",
                name="deploymentstate",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("reason", JSON, nullable=True),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_pass_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claim_token", sa.String(length=36), nullable=True),
        sa.Column("claim_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index(
        op.f("ix_deployments_next_pass_at"), "deployments", ["next_pass_at"], unique=False
    )
    op.create_index(
        op.f("ix_deployments_organization_id"), "deployments", ["organization_id"], unique=False
    )
    op.create_index(op.f("ix_deployments_project_id"), "deployments", ["project_id"], unique=False)
    op.create_index(
        "ix_deployments_project_id_name", "deployments", ["project_id", "name"], unique=False
    )
    op.create_table(
        "idempotent_requests",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=False),
        sa.Column("response_body", sa.LargeBinary(), nullable=False),
        sa.Column("response_type", sa.String(length=100), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotent_requests")),
        sa.UniqueConstraint(
            "organization_id", "key", name=op.f("uq_idempotent_requests_organization_id_key")
        ),
    )
    op.create_index(
        op.f("ix_idempotent_requests_organization_id"),
        "idempotent_requests",
        ["organization_id"],
        unique=False,
    )
    op.create_table(
        "job_attempts",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=False),
        sa.Column("driver", sa.String(length=20), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("node_names", JSON, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.String(length=20), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("signal", sa.Integer(), nullable=True),
        sa.Column("message", sa.String(length=500), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cpu_nanoseconds", sa.BigInteger(), nullable=False),
        sa.Column("memory_byte_seconds", sa.BigInteger(), nullable=False),
        sa.Column("memory_peak_bytes", sa.BigInteger(), nullable=False),
        sa.Column("accelerator_milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("energy_microjoules", sa.BigInteger(), nullable=True),
        sa.Column("metered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("metered_windows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_attempts")),
        sa.UniqueConstraint("job_id", "number", name=op.f("uq_job_attempts_job_id_number")),
    )
    op.create_index(op.f("ix_job_attempts_job_id"), "job_attempts", ["job_id"], unique=False)
    op.create_index(
        op.f("ix_job_attempts_organization_id"), "job_attempts", ["organization_id"], unique=False
    )
    op.create_index(
        op.f("ix_job_attempts_project_id"), "job_attempts", ["project_id"], unique=False
    )
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("inputs", JSON, nullable=False),
        sa.Column("label", JSON, nullable=False),
        sa.Column("submitted_by", sa.String(length=64), nullable=False),
        sa.Column("wanted", sa.String(length=10), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "starting",
                "running",
                "stopping",
                "finishing",
                "succeeded",
                "failed",
                "stopped",
                name="jobstate",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=True),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("reason", JSON, nullable=True),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_pass_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claim_token", sa.String(length=36), nullable=True),
        sa.Column("claim_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_lease_id"), "jobs", ["lease_id"], unique=False)
    op.create_index(op.f("ix_jobs_next_pass_at"), "jobs", ["next_pass_at"], unique=False)
    op.create_index(op.f("ix_jobs_organization_id"), "jobs", ["organization_id"], unique=False)
    op.create_index("ix_jobs_organization_id_id", "jobs", ["organization_id", "id"], unique=False)
    op.create_index(op.f("ix_jobs_project_id"), "jobs", ["project_id"], unique=False)
    op.create_index("ix_jobs_state_id", "jobs", ["state", "id"], unique=False)
    op.create_table(
        "log_checkpoints",
        sa.Column("tree_size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_checkpoints")),
        sa.UniqueConstraint("tree_size", name=op.f("uq_log_checkpoints_tree_size")),
    )
    op.create_table(
        "log_entries",
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=True),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_entries")),
    )
    op.create_index("ix_log_entries_leaf_index", "log_entries", ["leaf_index"], unique=True)
    op.create_index(
        op.f("ix_log_entries_organization_id"), "log_entries", ["organization_id"], unique=False
    )
    op.create_index(
        "ix_log_entries_pending",
        "log_entries",
        ["id"],
        unique=False,
        sqlite_where=sa.text("leaf_index IS NULL"),
        postgresql_where=sa.text("leaf_index IS NULL"),
    )
    op.create_index(op.f("ix_log_entries_project_id"), "log_entries", ["project_id"], unique=False)
    op.create_index(
        "ix_log_entries_subject_id_id", "log_entries", ["subject_id", "id"], unique=False
    )
    op.create_table(
        "log_tree_nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "position", name=op.f("pk_log_tree_nodes")),
    )
    op.create_table(
        "organizations",
        sa.Column("legal_name", sa.String(length=200), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("vat_id", sa.String(length=20), nullable=True),
        sa.Column("is_operator", sa.Boolean(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("organization_id = id", name=op.f("ck_organizations_own_tenant")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_index(
        "ix_organizations_operator",
        "organizations",
        ["is_operator"],
        unique=True,
        sqlite_where=sa.text("is_operator"),
        postgresql_where=sa.text("is_operator"),
    )
    op.create_index(
        op.f("ix_organizations_organization_id"), "organizations", ["organization_id"], unique=False
    )
    op.create_table(
        "outbox",
        sa.Column("topic", sa.String(length=100), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_pass_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claim_token", sa.String(length=36), nullable=True),
        sa.Column("claim_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_next_pass_at"), "outbox", ["next_pass_at"], unique=False)
    op.create_table(
        "price_lists",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effective_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_lists")),
        sa.UniqueConstraint("effective_from", name=op.f("uq_price_lists_effective_from")),
        sa.UniqueConstraint("name", name=op.f("uq_price_lists_name")),
    )
    op.create_table(
        "public_models",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "format",
            sa.Enum("gguf", "safetensors", name="modelformat", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column("path", sa.String(length=1000), nullable=False),
        sa.Column("licence", sa.String(length=200), nullable=False),
        sa.Column("source", JSON, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("context_tokens", sa.Integer(), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_public_models")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_public_models_name_version")),
    )
    op.create_table(
        "registered_models",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("artifact_id", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "format",
            sa.Enum("gguf", "safetensors", name="modelformat", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column("licence", sa.String(length=200), nullable=False),
        sa.Column("label", JSON, nullable=False),
        sa.Column("lineage", JSON, nullable=False),
        sa.Column("metrics", JSON, nullable=False),
        sa.Column("context_tokens", sa.Integer(), nullable=True),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.Column("source_id", sa.String(length=200), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registered_models")),
        sa.UniqueConstraint(
            "project_id",
            "name",
            "version",
            name=op.f("uq_registered_models_project_id_name_version"),
        ),
        sa.UniqueConstraint(
            "project_id", "source_id", name=op.f("uq_registered_models_project_id_source_id")
        ),
    )
    op.create_index(
        op.f("ix_registered_models_artifact_id"), "registered_models", ["artifact_id"], unique=False
    )
    op.create_index(
        op.f("ix_registered_models_organization_id"),
        "registered_models",
        ["organization_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_registered_models_project_id"), "registered_models", ["project_id"], unique=False
    )
    op.create_table(
        "replicas",
        sa.Column("deployment_id", sa.String(length=64), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=False),
        sa.Column("wanted", sa.String(length=10), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "starting",
                "ready",
                "draining",
                "stopping",
                "ended",
                name="replicastate",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("driver", sa.String(length=20), nullable=True),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("node_names", JSON, nullable=False),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("base_url", sa.String(length=200), nullable=True),
        sa.Column("reason", JSON, nullable=True),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drain_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unready_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_pass_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claim_token", sa.String(length=36), nullable=True),
        sa.Column("claim_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure", sa.String(), nullable=True),
        sa.Column("cpu_nanoseconds", sa.BigInteger(), nullable=False),
        sa.Column("memory_byte_seconds", sa.BigInteger(), nullable=False),
        sa.Column("memory_peak_bytes", sa.BigInteger(), nullable=False),
        sa.Column("accelerator_milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("energy_microjoules", sa.BigInteger(), nullable=True),
        sa.Column("metered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("metered_windows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replicas")),
    )
    op.create_index(op.f("ix_replicas_deployment_id"), "replicas", ["deployment_id"], unique=False)
    op.create_index(op.f("ix_replicas_lease_id"), "replicas", ["lease_id"], unique=False)
    op.create_index(op.f("ix_replicas_next_pass_at"), "replicas", ["next_pass_at"], unique=False)
    op.create_index(
        op.f("ix_replicas_organization_id"), "replicas", ["organization_id"], unique=False
    )
    op.create_index(op.f("ix_replicas_project_id"), "replicas", ["project_id"], unique=False)
    op.create_index("ix_replicas_state", "replicas", ["state"], unique=False)
    op.create_table(
        "scheduler_turns",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_pass_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claim_token", sa.String(length=36), nullable=True),
        sa.Column("claim_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduler_turns")),
    )
    op.create_index(
        op.f("ix_scheduler_turns_next_pass_at"), "scheduler_turns", ["next_pass_at"], unique=False
    )
    op.create_table(
        "sites",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("operator_id", sa.String(length=64), nullable=False),
        sa.Column("operator_subject_to", JSON, nullable=False),
        sa.Column("certifications", JSON, nullable=False),
        sa.Column("jurisdictions", JSON, nullable=False),
        sa.Column("grid_zone", sa.String(length=20), nullable=False),
        sa.Column("pue_milli", sa.Integer(), nullable=False),
        sa.Column("power_cap_watts", sa.BigInteger(), nullable=True),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
        sa.UniqueConstraint("name", name=op.f("uq_sites_name")),
    )
    op.create_table(
        "usage_records",
        sa.Column("source_id", sa.String(length=200), nullable=False),
        sa.Column("meter", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workload_id", sa.String(length=64), nullable=False),
        sa.Column("workload_kind", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=True),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("accelerator_type", sa.String(length=200), nullable=True),
        sa.Column("energy_microwatt_hours", sa.BigInteger(), nullable=True),
        sa.Column("energy_method", sa.String(length=64), nullable=True),
        sa.Column("energy_note", sa.String(), nullable=True),
        sa.Column("carbon_micrograms", sa.BigInteger(), nullable=True),
        sa.Column("carbon_source", sa.String(), nullable=True),
        sa.Column("label", JSON, nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_records")),
        sa.UniqueConstraint("source_id", name=op.f("uq_usage_records_source_id")),
    )
    op.create_index(
        op.f("ix_usage_records_organization_id"), "usage_records", ["organization_id"], unique=False
    )
    op.create_index(
        "ix_usage_records_organization_id_ended_at",
        "usage_records",
        ["organization_id", "ended_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_usage_records_project_id"), "usage_records", ["project_id"], unique=False
    )
    op.create_index("ix_usage_records_workload_id", "usage_records", ["workload_id"], unique=False)
    op.create_table(
        "usage_refusals",
        sa.Column("source_id", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("record", JSON, nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_refusals")),
        sa.UniqueConstraint(
            "source_id", "fingerprint", name=op.f("uq_usage_refusals_source_id_fingerprint")
        ),
    )
    op.create_index(
        op.f("ix_usage_refusals_organization_id"),
        "usage_refusals",
        ["organization_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_usage_refusals_project_id"), "usage_refusals", ["project_id"], unique=False
    )
    op.create_table(
        "members",
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "owner",
                "admin",
                "developer",
                "billing",
                "viewer",
                name="role",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_members_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
        sa.UniqueConstraint(
            "organization_id", "email", name=op.f("uq_members_organization_id_email")
        ),
    )
    op.create_index(
        op.f("ix_members_organization_id"), "members", ["organization_id"], unique=False
    )
    op.create_table(
        "nodes",
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("driver", sa.String(length=20), nullable=False),
        sa.Column("rack", sa.String(length=100), nullable=True),
        sa.Column("nvlink_domain", sa.String(length=100), nullable=True),
        sa.Column("architecture", sa.String(length=20), nullable=False),
        sa.Column("cpu_model", sa.String(length=200), nullable=False),
        sa.Column("cpu_millis", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("accelerator_type", sa.String(length=50), nullable=True),
        sa.Column("accelerators", sa.Integer(), nullable=False),
        sa.Column("isolation", JSON, nullable=False),
        sa.Column("energy_meters", JSON, nullable=False),
        sa.Column("idle_watts", sa.Integer(), nullable=False),
        sa.Column("cpu_watts", sa.Integer(), nullable=False),
        sa.Column("accelerator_watts", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum("ready", "draining", "down", name="nodestate", native_enum=False, length=20),
            nullable=False,
        ),
        sa.Column("drain_wanted", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_nodes_site_id_sites")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_nodes_site_id_name")),
    )
    op.create_index("ix_nodes_driver_seen_at", "nodes", ["driver", "seen_at"], unique=False)
    op.create_table(
        "prices",
        sa.Column("list_id", sa.String(length=64), nullable=False),
        sa.Column("meter", sa.String(length=64), nullable=False),
        sa.Column("selector", sa.String(length=200), nullable=False),
        sa.Column("per", sa.BigInteger(), nullable=False),
        sa.Column("price_nano", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["price_lists.id"], name=op.f("fk_prices_list_id_price_lists")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
        sa.UniqueConstraint(
            "list_id", "meter", "selector", name=op.f("uq_prices_list_id_meter_selector")
        ),
    )
    op.create_table(
        "projects",
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("label", JSON, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_projects_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint(
            "organization_id", "name", name=op.f("uq_projects_organization_id_name")
        ),
    )
    op.create_index(
        op.f("ix_projects_organization_id"), "projects", ["organization_id"], unique=False
    )
    op.create_table(
        "api_keys",
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("member_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("prefix", sa.String(length=8), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("models", JSON, nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["member_id"],
            ["members.id"],
            name=op.f("fk_api_keys_member_id_members"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_api_keys_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_api_keys_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_index(op.f("ix_api_keys_member_id"), "api_keys", ["member_id"], unique=False)
    op.create_index(
        op.f("ix_api_keys_organization_id"), "api_keys", ["organization_id"], unique=False
    )
    op.create_index(op.f("ix_api_keys_project_id"), "api_keys", ["project_id"], unique=False)
    op.create_table(
        "node_holdings",
        sa.Column("lease_id", sa.String(length=64), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("cpu_millis", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("accelerators", sa.Integer(), nullable=False),
        sa.Column("power_milliwatts", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["node_id"], ["nodes.id"], name=op.f("fk_node_holdings_node_id_nodes")
        ),
        sa.PrimaryKeyConstraint("lease_id", "node_id", name=op.f("pk_node_holdings")),
    )
    op.create_index(op.f("ix_node_holdings_node_id"), "node_holdings", ["node_id"], unique=False)
    op.invoke(EnableRowSecurity("api_keys", by_project=False))
    op.invoke(EnableRowSecurity("artifacts", by_project=True))
    op.invoke(EnableRowSecurity("blobs", by_project=False))
    op.invoke(EnableRowSecurity("capacity_leases", by_project=True))
    op.invoke(EnableRowSecurity("datasets", by_project=True))
    op.invoke(EnableRowSecurity("deployments", by_project=True))
    op.invoke(EnableRowSecurity("idempotent_requests", by_project=False))
    op.invoke(EnableRowSecurity("job_attempts", by_project=True))
    op.invoke(EnableRowSecurity("jobs", by_project=True))
    op.invoke(EnableRowSecurity("log_entries", by_project=False))
    op.invoke(EnableRowSecurity("members", by_project=False))
    op.invoke(EnableRowSecurity("organizations", by_project=False))
    op.invoke(EnableRowSecurity("projects", by_project=False))
    op.invoke(EnableRowSecurity("registered_models", by_project=True))
    op.invoke(EnableRowSecurity("replicas", by_project=True))
    op.invoke(EnableRowSecurity("usage_records", by_project=True))
    op.invoke(EnableRowSecurity("usage_refusals", by_project=True))


def downgrade() -> None:  # noqa: PLR0915 - one statement a table
    op.invoke(DisableRowSecurity("usage_refusals"))
    op.invoke(DisableRowSecurity("usage_records"))
    op.invoke(DisableRowSecurity("replicas"))
    op.invoke(DisableRowSecurity("registered_models"))
    op.invoke(DisableRowSecurity("projects"))
    op.invoke(DisableRowSecurity("organizations"))
    op.invoke(DisableRowSecurity("members"))
    op.invoke(DisableRowSecurity("log_entries"))
    op.invoke(DisableRowSecurity("jobs"))
    op.invoke(DisableRowSecurity("job_attempts"))
    op.invoke(DisableRowSecurity("idempotent_requests"))
    op.invoke(DisableRowSecurity("deployments"))
    op.invoke(DisableRowSecurity("datasets"))
    op.invoke(DisableRowSecurity("capacity_leases"))
    op.invoke(DisableRowSecurity("blobs"))
    op.invoke(DisableRowSecurity("artifacts"))
    op.invoke(DisableRowSecurity("api_keys"))
    op.drop_index(op.f("ix_node_holdings_node_id"), table_name="node_holdings")
    op.drop_table("node_holdings")
    op.drop_index(op.f("ix_api_keys_project_id"), table_name="api_keys")
    op.drop_index(op.f("ix_api_keys_organization_id"), table_name="api_keys")
    op.drop_index(op.f("ix_api_keys_member_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index(op.f("ix_projects_organization_id"), table_name="projects")
    op.drop_table("projects")
    op.drop_table("prices")
    op.drop_index("ix_nodes_driver_seen_at", table_name="nodes")
    op.drop_table("nodes")
    op.drop_index(op.f("ix_members_organization_id"), table_name="members")
    op.drop_table("members")
    op.drop_index(op.f("ix_usage_refusals_project_id"), table_name="usage_refusals")
    op.drop_index(op.f("ix_usage_refusals_organization_id"), table_name="usage_refusals")
    op.drop_table("usage_refusals")
    op.drop_index("ix_usage_records_workload_id", table_name="usage_records")
    op.drop_index(op.f("ix_usage_records_project_id"), table_name="usage_records")
    op.drop_index("ix_usage_records_organization_id_ended_at", table_name="usage_records")
    op.drop_index(op.f("ix_usage_records_organization_id"), table_name="usage_records")
    op.drop_table("usage_records")
    op.drop_table("sites")
    op.drop_index(op.f("ix_scheduler_turns_next_pass_at"), table_name="scheduler_turns")
    op.drop_table("scheduler_turns")
    op.drop_index("ix_replicas_state", table_name="replicas")
    op.drop_index(op.f("ix_replicas_project_id"), table_name="replicas")
    op.drop_index(op.f("ix_replicas_organization_id"), table_name="replicas")
    op.drop_index(op.f("ix_replicas_next_pass_at"), table_name="replicas")
    op.drop_index(op.f("ix_replicas_lease_id"), table_name="replicas")
    op.drop_index(op.f("ix_replicas_deployment_id"), table_name="replicas")
    op.drop_table("replicas")
    op.drop_index(op.f("ix_registered_models_project_id"), table_name="registered_models")
    op.drop_index(op.f("ix_registered_models_organization_id"), table_name="registered_models")
    op.drop_index(op.f("ix_registered_models_artifact_id"), table_name="registered_models")
    op.drop_table("registered_models")
    op.drop_table("public_models")
    op.drop_table("price_lists")
    op.drop_index(op.f("ix_outbox_next_pass_at"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_organizations_organization_id"), table_name="organizations")
    op.drop_index(
        "ix_organizations_operator",
        table_name="organizations",
        sqlite_where=sa.text("is_operator"),
        postgresql_where=sa.text("is_operator"),
    )
    op.drop_table("organizations")
    op.drop_table("log_tree_nodes")
    op.drop_index("ix_log_entries_subject_id_id", table_name="log_entries")
    op.drop_index(op.f("ix_log_entries_project_id"), table_name="log_entries")
    op.drop_index(
        "ix_log_entries_pending",
        table_name="log_entries",
        sqlite_where=sa.text("leaf_index IS NULL"),
        postgresql_where=sa.text("leaf_index IS NULL"),
    )
    op.drop_index(op.f("ix_log_entries_organization_id"), table_name="log_entries")
    op.drop_index("ix_log_entries_leaf_index", table_name="log_entries")
    op.drop_table("log_entries")
    op.drop_table("log_checkpoints")
    op.drop_index("ix_jobs_state_id", table_name="jobs")
    op.drop_index(op.f("ix_jobs_project_id"), table_name="jobs")
    op.drop_index("ix_jobs_organization_id_id", table_name="jobs")
    op.drop_index(op.f("ix_jobs_organization_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_next_pass_at"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_lease_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_index(op.f("ix_job_attempts_project_id"), table_name="job_attempts")
    op.drop_index(op.f("ix_job_attempts_organization_id"), table_name="job_attempts")
    op.drop_index(op.f("ix_job_attempts_job_id"), table_name="job_attempts")
    op.drop_table("job_attempts")
    op.drop_index(op.f("ix_idempotent_requests_organization_id"), table_name="idempotent_requests")
    op.drop_table("idempotent_requests")
    op.drop_index("ix_deployments_project_id_name", table_name="deployments")
    op.drop_index(op.f("ix_deployments_project_id"), table_name="deployments")
    op.drop_index(op.f("ix_deployments_organization_id"), table_name="deployments")
    op.drop_index(op.f("ix_deployments_next_pass_at"), table_name="deployments")
    op.drop_table("deployments")
    op.drop_index(op.f("ix_datasets_project_id"), table_name="datasets")
    op.drop_index(op.f("ix_datasets_organization_id"), table_name="datasets")
    op.drop_index(op.f("ix_datasets_artifact_id"), table_name="datasets")
    op.drop_table("datasets")
    op.drop_index(op.f("ix_capacity_leases_workload_id"), table_name="capacity_leases")
    op.drop_index(op.f("ix_capacity_leases_unit_id"), table_name="capacity_leases")
    op.drop_index("ix_capacity_leases_state_taken_up", table_name="capacity_leases")
    op.drop_index(op.f("ix_capacity_leases_project_id"), table_name="capacity_leases")
    op.drop_index(op.f("ix_capacity_leases_organization_id"), table_name="capacity_leases")
    op.drop_table("capacity_leases")
    op.drop_index(op.f("ix_blobs_organization_id"), table_name="blobs")
    op.drop_table("blobs")
    op.drop_index(op.f("ix_artifacts_project_id"), table_name="artifacts")
    op.drop_index(op.f("ix_artifacts_organization_id"), table_name="artifacts")
    op.drop_table("artifacts")
