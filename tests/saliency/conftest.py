"""The tiny models of every family, shared with the tests of the model engine."""

from __future__ import annotations

from tests.hydra_rag.conftest import engine, family, folders, one_engine

__all__ = ["engine", "family", "folders", "one_engine"]
