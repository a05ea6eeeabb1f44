"""Full-text search over the text layer of pages: SQLite FTS5, or a PostgreSQL tsvector.

Text and queries go through one normal form, so that both databases agree: compatibility forms and
ligatures unfolded, case and diacritics dropped, soft hyphens removed, and every CJK character a word of
its own (queries then look for neighbouring pairs). A query is any string; its words are alternatives,
ranked by BM25 (SQLite) or cover density (PostgreSQL). Nothing in it is query syntax.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from sqlalchemy import BindParameter, TextClause, bindparam, text
from sqlalchemy.orm import Session

from hydra_rag.store.documents import parts
from hydra_rag_indexing.synonyms import alike

__all__ = [
    "FUNCTION_WORDS",
    "ideal_score",
    "index_page_text",
    "normalize",
    "query_phrases",
    "remove_page_text",
    "search_text",
    "stem",
]

_MAX_TEXT = 400_000  # characters of a page; a tsvector holds one megabyte
_MAX_PHRASES = 64
#: Words are near each other with at most so many others between them; what that, and a word of the same
#: meaning, counts beside the words themselves.
_NEAR, _SHARE = 8, 0.4
_MOST_DOCUMENTS = 10_000  # in one statement
_WORD = re.compile(r"[^\W_]+")
#: Longest first where one ends another.
_ENDINGS = ("ations", "ation", "ings", "ing", "ments", "ment", "ies", "ied", "ers", "ern", "ens", "ed",
            "es", "er", "en", "em", "ly", "y", "e", "s")  # fmt: skip
#: English, as its questions are put; in other languages the ranking's weights alone tell them from the rest.
FUNCTION_WORDS = frozenset(
    "a an and are as at be by can could did do does for from give has have how i if in into is it its many "
    "me much my not of on or our out please say shall should show so tell than that the their there these "
    "they this to us was we were what when where which who whom whose why will with would you your".split()
)
_CHUNK = re.compile(r"\S+")
_CJK = re.compile(
    "[\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f]"
)


def normalize(value: str) -> str:
    """The form in which text is indexed and searched; safe for every database."""
    value = value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates
    value = unicodedata.normalize("NFKD", value[:_MAX_TEXT]).casefold()
    # Marks go in every script: what is left of a word is then the same for both databases and the query.
    value = "".join(c for c in value if unicodedata.category(c)[0] != "M" and c not in "\u00ad\u200b\x00")
    return _CJK.sub(r" \g<0> ", unicodedata.normalize("NFC", value))


def query_phrases(query: str) -> list[list[str]]:
    """What to look for, each a run of neighbouring words: single words, and what was written together.

    ``"INV-204 total"`` gives ``[inv] [204] [inv 204] [total]``; CJK gives neighbouring pairs. The words that
    make a question of it ("how do I ...") are left out, unless there are no others.
    """
    chunks = _CHUNK.findall(query[:20_000])
    telling = [chunk for number, chunk in enumerate(chunks) if not _is_function_word(chunk, first=not number)]
    return _phrases(telling) or _phrases(chunks)


def _is_function_word(chunk: str, *, first: bool) -> bool:
    """Written in capitals, or with one in the middle of a sentence, it is a name (the US, hepatitis A)."""
    word = chunk.strip(".,;:!?\"'()")
    plain = word == "I" or word.islower() or (first and word[1:].islower()) or (first and word == "A")
    return plain and word.lower() in FUNCTION_WORDS


def _phrases(chunks: Sequence[str]) -> list[list[str]]:
    phrases: dict[tuple[str, ...], None] = {}
    for chunk in chunks:
        words = _WORD.findall(normalize(chunk))
        cjk = [bool(_CJK.fullmatch(w)) for w in words]
        singles = [w for w, wide in zip(words, cjk, strict=True) if not wide]
        pairs = [(a, b) for (a, b), (x, y) in zip(pairwise(words), pairwise(cjk), strict=True) if x and y]
        if words and all(cjk) and len(words) == 1:
            singles = words
        found: list[tuple[str, ...]] = [(w,) for w in singles] + list(pairs)
        if 1 < len(singles) <= 8:
            found.append(tuple(singles))
        phrases.update(dict.fromkeys(found))
    return [list(p) for p in list(phrases)[:_MAX_PHRASES]]


def stem(word: str) -> str:
    """What other forms of a word begin with: ``indenting`` gives ``indent``, ``directories`` ``director``.

    Endings of English and of its neighbours, no dictionary; at least four letters are left. Words with
    digits, short ones and those of other scripts stay whole.
    """
    if len(word) < 5 or not word.isascii() or not word.isalpha():
        return word
    for ending in _ENDINGS:
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= 4:
            double = len(rest) >= 5 and rest[-1] == rest[-2] and rest[-1] not in "aeiouls"
            return rest[:-1] if double else rest
    return word


def index_page_text(db: Session, page_key: int, tenant: str, value: str) -> None:
    """Make the page findable by ``value``, instead of any text it had. Part of the caller's transaction."""
    remove_page_text(db, [page_key])
    column = "rowid" if _is_sqlite(db) else "page_key"
    db.execute(
        text(f"INSERT INTO page_text ({column}, tenant, text) VALUES (:key, :tenant, :text)"),
        {"key": page_key, "tenant": tenant, "text": normalize(value)},
    )


def remove_page_text(db: Session, page_keys: Sequence[int]) -> None:
    """Forget the text of these pages; unknown keys are fine."""
    column = "rowid" if _is_sqlite(db) else "page_key"
    for key in page_keys:
        db.execute(text(f"DELETE FROM page_text WHERE {column} = :key"), {"key": key})


def search_text(
    db: Session,
    tenant: str,
    query: str,
    k: int,
    *,
    collection: str | None = None,
    allowed_documents: Sequence[str] | None = None,
    page_range: tuple[int, int] | None = None,
    media_types: Sequence[str] | None = None,
) -> list[tuple[int, float]]:
    """The ``k`` best pages as (page key, score > 0), best first, ties by key. Any string is a query.

    Only ready documents of the tenant; ``page_range`` is 1-based, both ends included. The filters are
    part of the query, so that ``k`` pages come back whenever ``k`` match.
    """
    phrases = query_phrases(query)
    if k < 1 or not phrases:
        return []
    if allowed_documents is not None and len(allowed_documents) > _MOST_DOCUMENTS:
        found: dict[int, float] = {}
        for some in parts(list(allowed_documents), _MOST_DOCUMENTS):
            found |= search_text(
                db,
                tenant,
                query,
                k,
                collection=collection,
                allowed_documents=some,
                page_range=page_range,
                media_types=media_types,
            )
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))[:k]
    sqlite = _is_sqlite(db)
    beside = _beside(phrases, sqlite)
    parameters: dict[str, object] = {"tenant": tenant, "k": k, "match": _match(phrases, sqlite)}
    if beside:
        parameters |= {"beside": beside, "share": _SHARE}
    conditions: list[str] = []
    expanding: list[BindParameter[object]] = []
    if collection is not None:
        conditions.append("p.collection = :collection AND d.collection = :collection")
        parameters["collection"] = collection
    if page_range is not None:
        conditions.append("p.page_number BETWEEN :first AND :last")
        parameters["first"], parameters["last"] = page_range
    for name, column, values in (
        ("documents", "d.id", allowed_documents),
        ("media", "d.media_type", media_types),
    ):
        if values is not None:
            if not values:
                return []
            conditions.append(f"{column} IN :{name}")
            parameters[name] = list(values)
            expanding.append(bindparam(name, expanding=True))
    statement = _statement(sqlite, conditions, beside=bool(beside))
    rows = db.execute(statement.bindparams(*expanding), parameters)
    return [(int(key), float(score)) for key, score in rows]


def ideal_score(db: Session, query: str) -> float | None:
    """The BM25 score of a page of average length that has every word of ``query`` once: the sum of the
    terms' weights, those of most pages counting nothing. ``None`` where the database ranks otherwise."""
    if not _is_sqlite(db):
        return None
    pages = db.execute(text("SELECT count(*) FROM page_text_docsize")).scalar_one()
    counted = text("SELECT count(*) FROM page_text WHERE page_text MATCH :term")
    total = 0.0
    for phrase in query_phrases(query):
        for term in _terms(phrase) if len(phrase) == 1 else ():
            having = db.execute(counted, {"term": term}).scalar_one()
            weight = max(0.0, math.log((pages - having + 0.5) / (having + 0.5)))
            # A word that no page has may stand on a scan, or be another word for the same.
            total += weight if having else weight / 2
    return total


def _statement(sqlite: bool, conditions: Sequence[str], *, beside: bool) -> TextClause:
    extra = "".join(f" AND {c}" for c in conditions)
    live = (
        " JOIN documents d ON d.id = p.document_id"
        " WHERE p.tenant = :tenant AND d.tenant = :tenant AND d.state = 'ready'"
    )
    if sqlite:
        found = "SELECT rowid AS key, {} * -bm25(page_text) AS score FROM page_text WHERE page_text MATCH {}"
        both = found.format("1", ":match") + (
            f" UNION ALL {found.format(':share', ':beside')}" if beside else ""
        )
        return text(
            f"WITH found AS MATERIALIZED ({both})"
            " SELECT t.key, SUM(t.score) AS score FROM found t JOIN pages p ON p.page_key = t.key"
            f"{live}{extra} GROUP BY t.key ORDER BY score DESC, t.key LIMIT :k"
        )
    score, query, other = "ts_rank_cd(t.tsv, q, 1)", "q", ""
    if beside:
        score, query = f"{score} + :share * ts_rank_cd(t.tsv, b, 1)", "(q || b)"
        other = " to_tsquery('simple', :beside) b,"
    return text(
        f"SELECT t.page_key, {score} AS score"
        f" FROM to_tsquery('simple', :match) q,{other} page_text t JOIN pages p ON p.page_key = t.page_key"
        f"{live} AND t.tenant = :tenant AND t.tsv @@ {query}{extra} ORDER BY score DESC, t.page_key LIMIT :k"
    )


def _match(phrases: Sequence[Sequence[str]], sqlite: bool) -> str:
    """Words hold letters and digits only (see ``_WORD``), so quoting them leaves no syntax."""
    if sqlite:
        return " OR ".join(term for words in phrases for term in _terms(words))
    return " | ".join(
        f"'{stem(words[0])}':*" if _varies(words) else "(" + " <-> ".join(f"'{w}'" for w in words) + ")"
        for words in phrases
    )


def _beside(phrases: Sequence[Sequence[str]], sqlite: bool) -> str:
    """What counts a part: words of the query that stand near each other, and other words for them."""
    words = [phrase[0] for phrase in phrases if _varies(phrase)]
    near = [(stem(a), stem(b)) for a, b in pairwise(words)]
    others = dict.fromkeys(stem(other) for word in words for other in alike(word))
    if sqlite:
        terms = [f'NEAR("{a}" * "{b}" *, {_NEAR})' for a, b in near] + [f'"{other}" *' for other in others]
        return " OR ".join(terms[:_MAX_PHRASES])
    terms = [f"('{a}':* & '{b}':*)" for a, b in near] + [f"'{other}':*" for other in others]
    return " | ".join(terms[:_MAX_PHRASES])


def _varies(words: Sequence[str]) -> bool:
    """Whether other words that begin alike are meant too: forms of it, or what it will be when typed out."""
    return len(words) == 1 and len(words[0]) > 2 and not words[0].isdigit()


def _terms(words: Sequence[str]) -> list[str]:
    """FTS5 terms of one phrase: the phrase, and for a word all that begin like it, so that the very word
    counts twice and its other forms once."""
    exact = '"' + " ".join(words) + '"'
    return [exact, f'"{stem(words[0])}" *'] if _varies(words) else [exact]


def _is_sqlite(db: Session) -> bool:
    return db.get_bind().dialect.name == "sqlite"
