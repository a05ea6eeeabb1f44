"""What retriever and tools have in common: where the documents are, and what may be found of them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from hydra_rag_agents.sources import LocalSource, Source
from hydra_rag_agents.tool_values import Images, Mode, Options

if TYPE_CHECKING:
    from hydra_rag_agents.facade import HydraRAG

__all__ = ["Connection"]

_engines: dict[tuple[Any, ...], HydraRAG] = {}
_lock = threading.Lock()


class Connection(BaseModel):
    """Give ``store=`` for an engine in this process, ``url=`` for a running server, or ``engine=`` for a
    :class:`~hydra_rag_agents.HydraRAG` that you have already.

    Objects with the same ``store``, ``model`` and so on share one engine in a process; it is opened by the
    first call. Pickles hold the configuration only, so a copy in another process opens its own engine.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")  # each subclass says it again

    store: Path | None = Field(None, description="folder of a store")
    model: str = Field("nano", description="nano, a model folder, or a hub name")
    adapter: str | None = Field(None, description="retrieval adapter (default: the one beside the model)")
    tenant: str = Field("default", min_length=1)
    collection: str | None = Field(None, description="which collection (default: `default`, or the server's)")
    device: str = "auto"
    url: str | None = Field(None, description="address of a running server")
    api_key: SecretStr | None = Field(None, description="its key")
    timeout: float = Field(600.0, gt=0, description="seconds to wait for the server")
    engine: Any = Field(default=None, exclude=True, repr=False)

    k: int = Field(5, ge=1, le=50, description="number of pages")
    mode: Mode | None = Field(None, description="visual, text or hybrid (the default)")
    documents: list[str] | None = Field(
        None, description="only these: document ids, file names, patterns such as *.pdf"
    )
    filter: dict[str, Any] | None = Field(
        None, description="only documents with these values of document_id, document, media_type"
    )
    score_threshold: float | None = Field(None, description="leave out pages with a lower score")
    include_images: Images = "none"
    max_images: int = Field(4, ge=0, le=50, description="images of one call, at most")
    image_edge: int = Field(1024, ge=32, le=4096, description="longest side of an image in pixels")

    _source: Source | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("store", "url", "engine") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "give exactly one of store= (a folder), url= (a running server) and engine= (a HydraRAG); "
                f"got {', '.join(given) or 'none'}"
            )
        if self.api_key is not None and self.url is None:
            raise ValueError("api_key= goes with url=")
        return self

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        fields = dict(state["__dict__"])
        engine = fields.pop("engine", None)
        if engine is not None:
            fields |= {
                "store": engine.directory,
                "model": engine.model_name,
                "adapter": None if engine.adapter is None else str(engine.adapter),
                "tenant": engine.tenant,
                "collection": engine.collection_name,
            }
        fields["engine"] = None
        private = {**(state["__pydantic_private__"] or {}), "_source": None}
        return {**state, "__dict__": fields, "__pydantic_private__": private}

    def close(self) -> None:
        """Free the engine behind ``store=`` (for everybody who shares it) or the connection to the server.
        The next call opens it again. An ``engine=`` is left to its owner."""
        source, self._source = self._source, None
        if self.url is not None:
            shut = getattr(source, "close", None)
            if shut is not None:
                shut()
        elif self.engine is None:
            with _lock:
                rag = _engines.pop(self._key(), None)
            if rag is not None:
                rag.close()

    def _where(self) -> Source:
        if self._source is None:
            if self.url is not None:
                from hydra_rag_agents.remote import RemoteSource

                key = None if self.api_key is None else self.api_key.get_secret_value()
                self._source = RemoteSource(self.url, key, collection=self.collection, timeout=self.timeout)
            else:
                self._source = LocalSource(self._engine)
        return self._source

    def _key(self) -> tuple[Any, ...]:
        assert self.store is not None
        place = (str(self.store.expanduser().absolute()), self.model, self.adapter, self.device)
        return (os.getpid(), *place, self.tenant, self.collection)

    def _engine(self) -> HydraRAG:
        from hydra_rag_agents.facade import HydraRAG

        if self.engine is not None:
            assert isinstance(self.engine, HydraRAG)
            return self.engine
        with _lock:
            rag = _engines.get(self._key())
            if rag is None:
                assert self.store is not None
                rag = HydraRAG(
                    self.store,
                    self.model,
                    self.adapter,
                    tenant=self.tenant,
                    collection=self.collection or "default",
                    device=self.device,
                    create=False,
                )
                _engines[self._key()] = rag
            return rag

    def _options(self, **changes: Any) -> Options:
        values: dict[str, Any] = {
            "k": self.k,
            "mode": self.mode,
            "documents": self.documents,
            "filter": self.filter or {},
            "score_threshold": self.score_threshold,
            "images": self.include_images,
            "max_images": self.max_images,
            "edge": self.image_edge,
        }
        known = {key: value for key, value in changes.items() if value is not None}
        return Options(**{**values, **known})
