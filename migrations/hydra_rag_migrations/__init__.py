"""hydra_rag: Alembic migrations."""
