"""The surface that official OpenAI clients can be pointed at: ``base_url="http://127.0.0.1:8000/v1"``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from hydra_rag_api.server.services import Services

__all__ = ["mount"]


def mount(app: FastAPI, services: Services) -> None:
    from hydra_rag_api.server.openai import (
        chat,
        conversations,
        embeddings,
        files,
        models,
        responses,
        stored_responses,
        vector_stores,
    )

    for part in (models, chat, responses, stored_responses, conversations, files, vector_stores, embeddings):
        app.include_router(part.router)
