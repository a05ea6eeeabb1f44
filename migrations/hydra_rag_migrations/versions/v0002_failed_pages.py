"""Documents remember the pages that could not be read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("failed_pages", sa.JSON(), server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("documents", "failed_pages")
