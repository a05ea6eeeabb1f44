"""Figures for Prometheus, in a registry of the server's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from hydra_rag_api.server.services import Services

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    def __init__(self, services: Services) -> None:
        self.registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "hydra_rag_http_requests",
            "Requests by route and status.",
            ["route", "method", "status"],
            **options,
        )
        self.seconds = Histogram(
            "hydra_rag_http_request_seconds", "Time to the end of the response.", ["route"],
            buckets=_SECONDS, **options,
        )  # fmt: skip
        self.answers = Counter("hydra_rag_answers", "Turns by how they ended.", ["status"], **options)
        self.first_token = Histogram(
            "hydra_rag_first_token_seconds", "Question taken to first piece of text.",
            buckets=_SECONDS, **options,
        )  # fmt: skip
        self.tokens = Counter("hydra_rag_tokens", "Model tokens.", ["kind"], **options)
        self.files = Counter("hydra_rag_ingested_files", "Files by outcome.", ["outcome"], **options)
        self.pages = Counter("hydra_rag_ingested_pages", "Pages made searchable.", **options)

        def gauge(name: str, text: str, value: Callable[[], float]) -> None:
            Gauge(name, text, **options).set_function(value)

        gauge("hydra_rag_questions_running", "Questions worked on.", lambda: services.admission.running)
        gauge("hydra_rag_questions_waiting", "Questions in line.", lambda: services.admission.waiting)
        gauge("hydra_rag_questions_refused", "Questions refused so far.", lambda: services.admission.refused)
        gauge("hydra_rag_ready", "1 when the model is loaded.", lambda: services.state == "ready")

    def render(self) -> bytes:
        return generate_latest(self.registry)
