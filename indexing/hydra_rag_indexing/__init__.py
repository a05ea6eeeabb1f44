"""hydra_rag: files to pages, segments, search."""
