"""The first schema: documents, pages, segments, jobs, chats, keys, full-text table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("last_used", sa.DateTime(), nullable=True),
        sa.Column("revoked", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_tenant"), "api_keys", ["tenant"], unique=False)
    op.create_table(
        "blobs",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("suffix", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", name=op.f("pk_blobs")),
    )
    op.create_table(
        "chat_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("updated", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_sessions")),
    )
    op.create_index(op.f("ix_chat_sessions_tenant_id"), "chat_sessions", ["tenant", "id"], unique=False)
    op.create_table(
        "collections",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("dim", sa.Integer(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_collections")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("pages_done", sa.Integer(), nullable=False),
        sa.Column("pages_total", sa.Integer(), nullable=True),
        sa.Column("document_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("updated", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_jobs_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_state_id"), "jobs", ["state", "id"], unique=False)
    op.create_index(op.f("ix_jobs_tenant_batch"), "jobs", ["tenant", "batch"], unique=False)
    op.create_table(
        "removed_files",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("removed", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_removed_files")),
    )
    op.create_table(
        "segments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
    )
    op.create_index(
        op.f("ix_segments_tenant_collection_fingerprint"),
        "segments",
        ["tenant", "collection", "fingerprint"],
        unique=False,
    )
    op.create_table(
        "store_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("format_version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("writer_epoch", sa.BigInteger(), nullable=False),
        sa.Column("holder_pid", sa.Integer(), nullable=True),
        sa.Column("holder_host", sa.Text(), nullable=True),
        sa.Column("holder_since", sa.DateTime(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_store_meta_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_meta")),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("page_count", sa.Integer(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("added", sa.DateTime(), nullable=False),
        sa.CheckConstraint("state IN ('working', 'ready')", name=op.f("ck_documents_state")),
        sa.ForeignKeyConstraint(
            ["tenant", "collection"],
            ["collections.tenant", "collections.name"],
            name=op.f("fk_documents_tenant_collection"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "sha256"], ["blobs.tenant", "blobs.sha256"], name=op.f("fk_documents_tenant_sha256")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
    )
    op.create_index(
        op.f("ix_documents_tenant_collection_path"),
        "documents",
        ["tenant", "collection", "path"],
        unique=False,
    )
    op.create_index(
        op.f("ix_documents_tenant_collection_state"),
        "documents",
        ["tenant", "collection", "state"],
        unique=False,
    )
    op.create_index(op.f("ix_documents_tenant_sha256"), "documents", ["tenant", "sha256"], unique=False)
    op.create_table(
        "turns",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("image_sha256", sa.String(length=64), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("finished", sa.DateTime(), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'answered', 'not_found', 'interrupted', 'failed')",
            name=op.f("ck_turns_status"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["chat_sessions.id"], name=op.f("fk_turns_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turns")),
    )
    op.create_index(op.f("ix_turns_session_id_position"), "turns", ["session_id", "position"], unique=True)
    op.create_table(
        "citations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("box", sa.JSON(), nullable=True),
        sa.Column("quote", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.id"], name=op.f("fk_citations_turn_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_citations")),
    )
    op.create_index(op.f("ix_citations_turn_id_position"), "citations", ["turn_id", "position"], unique=True)
    op.create_table(
        "feedback",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.id"], name=op.f("fk_feedback_turn_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
    )
    op.create_index(op.f("ix_feedback_turn_id"), "feedback", ["turn_id"], unique=False)
    op.create_table(
        "pages",
        sa.Column("page_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("page_number", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("dpi", sa.Float(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("text_source", sa.Text(), nullable=True),
        sa.Column("image_sha256", sa.String(length=64), nullable=False),
        sa.Column("image_suffix", sa.Text(), nullable=False),
        sa.Column("image_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"], ["documents.id"], name=op.f("fk_pages_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("page_key", name=op.f("pk_pages")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_pages_document_id_page_number"), "pages", ["document_id", "page_number"], unique=True
    )
    op.create_index(op.f("ix_pages_tenant_collection"), "pages", ["tenant", "collection"], unique=False)
    op.create_index(op.f("ix_pages_tenant_image_sha256"), "pages", ["tenant", "image_sha256"], unique=False)
    op.create_table(
        "steps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["turn_id"], ["turns.id"], name=op.f("fk_steps_turn_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steps")),
    )
    op.create_index(op.f("ix_steps_turn_id_position"), "steps", ["turn_id", "position"], unique=True)
    op.create_table(
        "page_vectors",
        sa.Column(
            "page_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.Text(), nullable=False),
        sa.Column("row_start", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_key"], ["pages.page_key"], name=op.f("fk_page_vectors_page_key"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["segment_id"], ["segments.id"], name=op.f("fk_page_vectors_segment_id")),
        sa.PrimaryKeyConstraint("page_key", "fingerprint", name=op.f("pk_page_vectors")),
    )
    op.create_index(op.f("ix_page_vectors_segment_id"), "page_vectors", ["segment_id"], unique=False)
    op.create_index(
        op.f("ix_page_vectors_tenant_fingerprint"), "page_vectors", ["tenant", "fingerprint"], unique=False
    )
    op.create_table(
        "page_words",
        sa.Column(
            "page_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page_key"], ["pages.page_key"], name=op.f("fk_page_words_page_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("page_key", name=op.f("pk_page_words")),
    )
    _create_page_text()
    op.execute("INSERT INTO store_meta (id, format_version, generation, writer_epoch) VALUES (1, 1, 0, 0)")


def _create_page_text() -> None:
    """The text of pages for full-text search; ``rowid`` (``page_key``) is the page's key.

    Rows leave with their page: by trigger in SQLite, by foreign key in PostgreSQL.
    """
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE page_text USING fts5"
            "(tenant UNINDEXED, text, tokenize='unicode61 remove_diacritics 2')"
        )
        op.execute(
            "CREATE TRIGGER pages_drop_text AFTER DELETE ON pages "
            "BEGIN DELETE FROM page_text WHERE rowid = old.page_key; END"
        )
        return
    op.execute(
        "CREATE TABLE page_text ("
        "page_key bigint PRIMARY KEY REFERENCES pages (page_key) ON DELETE CASCADE, "
        "tenant text NOT NULL, text text NOT NULL, "
        "tsv tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED)"
    )
    op.execute("CREATE INDEX ix_page_text_tsv ON page_text USING gin (tsv)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER pages_drop_text")
    op.execute("DROP TABLE page_text")
    op.drop_table("page_words")
    op.drop_index(op.f("ix_page_vectors_tenant_fingerprint"), table_name="page_vectors")
    op.drop_index(op.f("ix_page_vectors_segment_id"), table_name="page_vectors")
    op.drop_table("page_vectors")
    op.drop_index(op.f("ix_steps_turn_id_position"), table_name="steps")
    op.drop_table("steps")
    op.drop_index(op.f("ix_pages_tenant_image_sha256"), table_name="pages")
    op.drop_index(op.f("ix_pages_tenant_collection"), table_name="pages")
    op.drop_index(op.f("ix_pages_document_id_page_number"), table_name="pages")
    op.drop_table("pages")
    op.drop_index(op.f("ix_feedback_turn_id"), table_name="feedback")
    op.drop_table("feedback")
    op.drop_index(op.f("ix_citations_turn_id_position"), table_name="citations")
    op.drop_table("citations")
    op.drop_index(op.f("ix_turns_session_id_position"), table_name="turns")
    op.drop_table("turns")
    op.drop_index(op.f("ix_documents_tenant_sha256"), table_name="documents")
    op.drop_index(op.f("ix_documents_tenant_collection_state"), table_name="documents")
    op.drop_index(op.f("ix_documents_tenant_collection_path"), table_name="documents")
    op.drop_table("documents")
    op.drop_table("store_meta")
    op.drop_index(op.f("ix_segments_tenant_collection_fingerprint"), table_name="segments")
    op.drop_table("segments")
    op.drop_table("removed_files")
    op.drop_index(op.f("ix_jobs_tenant_batch"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_state_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("collections")
    op.drop_index(op.f("ix_chat_sessions_tenant_id"), table_name="chat_sessions")
    op.drop_table("chat_sessions")
    op.drop_table("blobs")
    op.drop_index(op.f("ix_api_keys_tenant"), table_name="api_keys")
    op.drop_table("api_keys")
