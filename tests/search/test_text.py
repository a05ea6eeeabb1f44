"""Full-text search: ranking, filters, and queries that are nothing but noise."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydra_rag.store.store import Store
from hydra_rag_indexing.synonyms import alike
from hydra_rag_indexing.text import (
    ideal_score,
    index_page_text,
    query_phrases,
    remove_page_text,
    search_text,
    stem,
)

from .conftest import add_document

_TEXTS = [
    "Invoice INV-204, total amount due 1,250.00 EUR",
    "The pump must be primed before the first start. Crème brûlée ﬁlter",
    "STRASSE und Übergröße, naïve façade",
    "文書検索エンジンの使い方",
    "pump pump pump",
]


@pytest.fixture
def keys(store: Store) -> list[int]:
    with store.write() as db:
        made = add_document(db, "a", len(_TEXTS))
        for key, value in zip(made, _TEXTS, strict=True):
            index_page_text(db, key, "default", value)
    return made


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("what is the total of inv-204?", 0),
        ("creme brulee", 1),
        ("filter", 1),
        ("Straße", 2),
        ("ubergrosse", 2),
        ("検索", 3),
        ("How do I prime the pump?", 1),
        ("filt", 1),
        ("fac\u0327ade", 2),
        ("priming pumps", 1),
        ("invoiced amounts", 0),
    ],
)
def test_finds_the_page(store: Store, keys: list[int], query: str, page: int) -> None:
    with store.session() as db:
        found = search_text(db, "default", query, 5)
    assert found[0][0] == keys[page]
    assert found == sorted(found, key=lambda hit: (-hit[1], hit[0]))
    assert all(score > 0 for _, score in found)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.one_of(st.text(), st.text(alphabet="\"'*():^-+{}[]ANDORNEAR \x00_\\%|&!<>\ud800文q")))
def test_any_string_is_a_query_and_a_text(store: Store, query: str) -> None:
    with store.session() as db:
        search_text(db, "default", query, 3)
    with store.write() as db:
        index_page_text(db, 10**6, "default", query)
    assert all(word.isalnum() for phrase in query_phrases(query) for word in phrase)


@pytest.mark.parametrize(
    "query",
    ['"', "AND", "a AND", "NEAR(a b", "text:pump", "* ^", "'; DROP TABLE pages; --", "(" * 500, "\x00"],
)
def test_query_syntax_means_nothing(store: Store, keys: list[int], query: str) -> None:
    with store.session() as db:
        search_text(db, "default", query, 3)
        assert search_text(db, "default", query + " pump", 3)


@pytest.mark.parametrize(
    ("word", "begins"),
    [
        ("indenting", "indent"),
        ("plotted", "plot"),
        ("directories", "director"),
        ("calling", "call"),
        ("string", "string"),
        ("code", "code"),
        ("vorlagen", "vorlag"),
        ("inv204ing", "inv204ing"),
        ("pump", "pump"),
    ],
)
def test_stems(word: str, begins: str) -> None:
    assert stem(word) == begins
    assert stem(stem(word)) in (begins, stem(begins))


def test_words_that_only_make_it_a_question_are_left_out() -> None:
    def words(query: str) -> list[str]:
        return [" ".join(phrase) for phrase in query_phrases(query)]

    assert words("How do I prime the pump?") == ["prime", "pump"]
    assert words("A list of what the US owes, by May") == ["list", "us", "owes", "may"]
    assert words("IT budget") == ["it", "budget"]
    assert words("hepatitis A") == ["hepatitis", "a"]
    assert words("who is it?") == ["who", "is", "it"], "nothing else to look for"


def test_the_very_word_counts_more_than_its_forms(store: Store) -> None:
    with store.write() as db:
        keys = add_document(db, "a", 4)
        for key, value in zip(keys, ["indents a b", "indenting a b", "something", "else"], strict=True):
            index_page_text(db, key, "default", value)
    with store.session() as db:
        assert [key for key, _ in search_text(db, "default", "indenting", 5)] == [keys[1], keys[0]]
        whole = ideal_score(db, "indenting something")
        assert whole is not None
        best = search_text(db, "default", "indenting something", 5)
        assert 0 < best[0][1] < 2 * whole
        assert (ideal_score(db, "the words that nobody wrote") or 0) > 0
        assert ideal_score(db, "?!") == 0


def _found(store: Store, query: str, *texts: str) -> list[int]:
    """Positions of the texts that are found, best first."""
    with store.write() as db:
        keys = add_document(db, f"{query} {texts[0]}", len(texts))
        for key, value in zip(keys, texts, strict=True):
            index_page_text(db, key, "default", value)
        found = [keys.index(key) for key, _ in search_text(db, "default", query, 9)]
        remove_page_text(db, keys)
    return found


def test_other_words_for_the_same_are_found_and_count_less(store: Store) -> None:
    other = ["nothing of it", "green", "blue", "white"]
    assert _found(store, "pictures", "Images of the town", *other) == [0]
    assert _found(store, "repetition", "two iterations are enough", *other) == [0]
    assert _found(store, "delete it", "remove it", "delete it", *other)[:2] == [1, 0]
    assert _found(store, "delete it from here", "remove, erase, drop", "delete", *other)[:2] == [1, 0]


def test_words_that_stand_near_each_other_count_more(store: Store) -> None:
    far = "pump " + "of it all " * 30 + "valve"
    near = "it all " * 15 + "pump for the valve " + "of it all " * 20
    other = ["nothing", "green", "blue"]
    assert _found(store, "pump valve", far, near, *other)[:2] == [1, 0]


def test_no_word_stands_for_itself() -> None:
    assert "image" in alike("picture")
    assert "image" in alike("pictures"), "other forms are looked up, too"
    assert alike("204") == alike("xylophone") == ()
    for word in ("picture", "error", "price", "use", "own"):
        assert not any(stem(other) == stem(word) for other in alike(word))


def test_filters_are_part_of_the_query(store: Store, keys: list[int]) -> None:
    with store.write() as db:
        for name, options in {
            "b": {},
            "c": {"media_type": "image/png"},
            "d": {"collection": "other"},
            "e": {"tenant": "else"},
            "f": {"state": "working"},
        }.items():
            for key in add_document(db, name, 30, **options):
                index_page_text(db, key, options.get("tenant", "default"), "pump " * 3 + "valve")
    with store.session() as db:
        assert len(search_text(db, "default", "valve", 500)) == 90
        assert len(search_text(db, "default", "valve", 500, collection="default")) == 60
        assert len(search_text(db, "else", "valve", 500)) == 30
        assert len(search_text(db, "nobody", "valve", 500)) == 0
        assert [k for k, _ in search_text(db, "default", "pump", 9, allowed_documents=["a"])] == [
            keys[4],
            keys[1],
        ]
        assert len(search_text(db, "default", "valve", 500, page_range=(2, 4))) == 9
        assert len(search_text(db, "default", "valve", 500, media_types=["image/png"])) == 30
        assert search_text(db, "default", "valve", 500, allowed_documents=[]) == []


def test_text_is_replaced_and_removed(store: Store, keys: list[int]) -> None:
    with store.write() as db:
        index_page_text(db, keys[0], "default", "something else")
        remove_page_text(db, [keys[4], 12345])
    with store.session() as db:
        assert search_text(db, "default", "invoice", 3) == []
        assert [k for k, _ in search_text(db, "default", "pump else", 3)] == [keys[0], keys[1]]
