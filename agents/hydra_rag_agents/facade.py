"""`HydraRAG`: documents in, cited answers out. The only place that puts model, index and agent together.

Everything heavy waits until it is needed: listing documents loads no model and no torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_rag.errors import UsageError
from hydra_rag_agents.events import Event
from hydra_rag_agents.history import Conversation, pasts
from hydra_rag_agents.library import CollectionLibrary
from hydra_rag_agents.locating import located
from hydra_rag_agents.loop import run
from hydra_rag_agents.memory import Past, follow_up
from hydra_rag_agents.reader import ModelReader
from hydra_rag_agents.result import AskResult, collect, load_image, make_settings
from hydra_rag_agents.state import AskSettings, Turn

if TYPE_CHECKING:
    from PIL import Image

    from hydra_rag.model import HydraModel
    from hydra_rag.store.records import DocumentInfo
    from hydra_rag.store.store import Store
    from hydra_rag_agents.ports import Reader
    from hydra_rag_indexing.collection import Collection
    from hydra_rag_indexing.events import IngestEvent, IngestResult
    from hydra_rag_indexing.search import Hit

__all__ = ["AskResult", "HydraRAG"]


class HydraRAG:
    """A store, a model and the agent. Safe to share between threads; usable as a context manager.

    ``store``: the store's folder. ``model``: ``nano``, a folder, or a hub name. ``adapter``: retrieval
    adapter, by default the one beside the model. ``database``: SQL elsewhere (``postgresql://...``).
    ``create``: make the store where there is none. ``pooling``: fewer vectors a page, ``hierarchical:2`` or
    ``apet:2`` (default: as stored). ``first_stage``: see ``Collection``. ``reader``: another answer view.
    """

    def __init__(
        self,
        store: str | Path,
        model: str = "nano",
        adapter: str | Path | None = None,
        *,
        tenant: str = "default",
        collection: str = "default",
        device: str = "auto",
        dtype: str | None = None,
        database: str | None = None,
        cache_dir: Path | None = None,
        create: bool = True,
        pooling: str | None = None,
        first_stage: str = "lists",
        load: Callable[[], HydraModel] | None = None,
        reader: Reader | None = None,
    ) -> None:
        self.directory = Path(store).expanduser()
        self.model_name, self.adapter = str(model), adapter
        self.tenant, self.collection_name = tenant, collection
        self._device, self._dtype, self._database = device, dtype, database
        self._cache_dir, self._create, self._load = cache_dir, create, load
        self._index: dict[str, Any] = {"pooling": pooling, "first_stage": first_stage}
        self._lock = threading.RLock()
        self._loading = threading.Lock()  # apart: the store can be used while the model loads
        self._model: HydraModel | None = None
        self._store: Store | None = None
        self._collection: Collection | None = None
        self._reader: Reader = reader or ModelReader(lambda: self.model)
        self._owner: HydraRAG | None = None
        self._closed = False

    def for_tenant(self, tenant: str, collection: str | None = None) -> HydraRAG:
        """This engine for another tenant or collection, over the same model and the same open store.

        Closing it frees nothing; closing this one does.
        """
        other = HydraRAG(
            self.directory,
            self.model_name,
            self.adapter,
            tenant=tenant,
            collection=self.collection_name if collection is None else collection,
            **self._index,
            load=lambda: self.model,
            reader=self._reader,
        )
        other._owner = self
        return other

    @property
    def model(self) -> HydraModel:
        """The model; loaded on first use."""
        with self._loading:
            self._check_open()
            if self._model is None:
                self._model = self._load() if self._load else self._load_model()
            return self._model

    def _load_model(self) -> HydraModel:
        from hydra_rag.model import HydraModel

        return HydraModel.load(
            self.model_name, self.adapter, self._device, dtype=self._dtype, cache_dir=self._cache_dir
        )

    @property
    def store(self) -> Store:
        with self._lock:
            self._check_open()
            if self._owner is not None:
                return self._owner.store
            if self._store is None:
                from hydra_rag.store.store import Store

                self._store = Store.open(self.directory, url=self._database, create=self._create)
            return self._store

    @property
    def collection(self) -> Collection:
        """The indexed pages; has no model until it needs one."""
        with self._lock:
            if self._collection is None:
                from hydra_rag_indexing.collection import Collection

                self._collection = Collection(
                    self.store,
                    lambda: self.model,
                    tenant=self.tenant,
                    collection=self.collection_name,
                    model=self.model_name,
                    **self._index,
                )
            return self._collection

    @property
    def conversation(self) -> Conversation:
        return Conversation(self.store, self.tenant, self.collection_name)

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("This HydraRAG is closed: make a new one.")

    def ingest(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        progress: Callable[[IngestEvent], None] | None = None,
        **options: Any,
    ) -> list[IngestResult]:
        """Index files, folders and globs. One result per file; see :meth:`Collection.ingest`."""
        return self.collection.ingest(paths, progress=progress, **options)

    @property
    def documents(self) -> list[DocumentInfo]:
        return self.collection.documents()

    def remove(self, document_ids: Sequence[str]) -> None:
        self.collection.remove(list(document_ids))

    def search(
        self,
        query: str | None = None,
        *,
        image: Image.Image | str | Path | None = None,
        k: int = 10,
        mode: str = "hybrid",
        gaze: str = "auto",
        documents: Sequence[str] | None = None,
    ) -> list[Hit]:
        """The ``k`` best pages for text, an image, or both.

        ``gaze``: with text and an image, search also with the part of the image that the text is about:
        where it helps (``auto``), ``never`` or ``always``.
        """
        return self.search_steps(query, image=image, k=k, mode=mode, gaze=gaze, documents=documents)[0]

    def search_steps(
        self,
        query: str | None = None,
        *,
        image: Image.Image | str | Path | None = None,
        k: int = 10,
        mode: str = "hybrid",
        gaze: str = "auto",
        documents: Sequence[str] | None = None,
    ) -> tuple[list[Hit], list[dict[str, Any]]]:
        """As :meth:`search`, with the steps that led there."""
        from hydra_rag_agents.seeking import seek

        picture = load_image(image)
        return seek(
            self.collection, self._reader, query, picture, k=k, mode=mode, gaze=gaze, documents=documents
        )

    def ask(
        self,
        question: str,
        *,
        image: Image.Image | str | Path | None = None,
        session: str | None = None,
        settings: AskSettings | None = None,
        explain: str | Path | None = None,
        on_event: Callable[[Event], None] | None = None,
        **changes: Any,
    ) -> AskResult:
        """Answer a question from the documents, with citations.

        ``session``: id of an earlier answer's session, for a follow-up. ``explain``: a folder for
        pictures of what was looked at. Keyword ``changes`` are fields of :class:`AskSettings`
        (``k=``, ``mode=``, ``pages=``, ``documents=``...).
        """
        chosen = make_settings(settings, changes)
        with closing(self.ask_events(question, image=image, session=session, settings=chosen)) as events:
            result = collect(events, on_event)
        if explain is not None:
            from hydra_rag_agents.explain import write_explanation

            write_explanation(
                CollectionLibrary(self.collection), self._reader, question, result, Path(explain)
            )
        return result

    def ask_events(
        self,
        question: str,
        *,
        image: Image.Image | str | Path | None = None,
        session: str | None = None,
        settings: AskSettings | None = None,
        past: Sequence[Past] | None = None,
        keep: bool = True,
        **changes: Any,
    ) -> Generator[Event]:
        """As :meth:`ask`, event by event. Closing it stops the model and stores the turn as interrupted.

        ``past``: what was said before, in place of the session's turns. ``keep=False``: nothing is stored,
        and the events begin without ``Started``.
        """
        if not (question := question.encode("utf-8", "replace").decode()).strip():  # of another encoding
            raise UsageError("The question is empty.")
        chosen = make_settings(settings, changes)
        for document in chosen.documents or ():
            self.collection.document(document)
        talk, picture = self.conversation, load_image(image)
        if past is None:
            past = [] if session is None else pasts(talk.turns(session))
        turn = located(follow_up(Turn(question, chosen, picture), past), self.collection.named)
        if not keep:
            with closing(run(CollectionLibrary(self.collection), self._reader, turn)) as events:
                yield from events
            return
        fingerprint = self._reader.fingerprint
        session_id = talk.open(session, question)
        turn_id = talk.begin(session_id, question, chosen, fingerprint, picture)
        loop = run(CollectionLibrary(self.collection), self._reader, turn)
        with closing(talk.record(session_id, turn_id, loop)) as events:
            yield from events

    @property
    def sessions(self) -> list[Any]:
        """Newest first."""
        return self.conversation.sessions()

    def replay(self, session_id: str, turn_id: str | None = None) -> list[dict[str, Any]]:
        """Run the stored turns of a session (or one of them) again with their stored settings.

        Nothing is stored. Each entry: the stored turn, the new ``replay`` (status, answer, steps,
        citations) and ``same``, whether steps, answer and citations agree; ``reason`` where they can't.
        """
        from hydra_rag_agents.replaying import replay

        return replay(self.conversation, self.collection, self._reader, session_id, turn_id)

    def close(self) -> None:
        """Free the model and the store. Closing twice does nothing."""
        with self._loading, self._lock:
            self._closed = True
            model, self._model = self._model, None
            store, self._store = self._store, None
            self._collection = None
        if model is not None and self._owner is None:
            model.close()
        if store is not None:
            store.close()

    def __enter__(self) -> HydraRAG:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
