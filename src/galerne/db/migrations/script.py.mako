<%
    body = (upgrades or "") + (downgrades or "")

    def statements(code):
        lines = [line for line in (code or "").splitlines() if not line.lstrip().startswith("#")]
        return "\n".join(lines).strip() or "pass"

    def noqa(code):
        count = sum(line.startswith("    op.") for line in (code or "").splitlines())
        return "  # noqa: PLR0915 - one statement a table" if count > 50 else ""

    security = [name for name in ("DisableRowSecurity", "EnableRowSecurity") if name in body]
%>"""${message[0].upper() + message[1:]}."""

import sqlalchemy as sa
from alembic import op
% if "JSON" in body:
from sqlalchemy.dialects import postgresql
% endif
% if security:

from galerne.db.row_security import ${", ".join(security)}
% endif

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
% if "JSON" in body:

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
% endif


def upgrade() -> None:${noqa(upgrades)}
    ${statements(upgrades)}


def downgrade() -> None:${noqa(downgrades)}
    ${statements(downgrades)}
