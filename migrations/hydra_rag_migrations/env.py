"""Alembic environment: runs inside the transaction that the runner has opened."""

from __future__ import annotations

from alembic import context

from hydra_rag_migrations.compare import COMPARE

connection = context.config.attributes["connection"]
context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite", **COMPARE)
context.run_migrations()
