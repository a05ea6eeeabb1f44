"""Documents for other programs: facts are printed, absent ones are not, look-alikes differ in values."""

from __future__ import annotations

import io
import random
import re
import zipfile
from html import unescape

import pytest

from benchmarks.other_programs.content import Writer, topic_names, topics
from benchmarks.other_programs.folder import query_for, writer_for
from benchmarks.other_programs.office import Layer, draft
from benchmarks.other_programs.office_files import WRITERS
from benchmarks.other_programs.pages_html import LAYOUTS, make_html
from benchmarks.other_programs.values import Values
from hydra_rag.geometry import Box


def text_of(data: bytes, suffix: str) -> str:
    """What a file says, one space between its words."""
    if suffix == ".docx":
        data = zipfile.ZipFile(io.BytesIO(data)).read("word/document.xml")
    text = data.decode("utf-8")
    if suffix == ".rtf":
        text = re.sub(r"\\u(\d+)\?", lambda m: chr(int(m[1])), text)
        text = re.sub(r"\\[a-z]+-?\d* ?", " ", text)
    if suffix not in (".csv", ".rtf"):
        text = unescape(re.sub(r"<[^>]+>", " ", text))
    return " ".join(text.replace('"', " ").split())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_fact_is_marked_once_with_its_answer(layout: str) -> None:
    for seed in range(5):
        writer = writer_for(f"{layout} {seed}")
        html, _ = make_html(layout, random.Random(seed), writer)
        marked = re.findall(r'data-fact="(\w+)">([^<]*)<', html)
        assert {key: unescape(text) for key, text in marked} == {f.key: f.answer for f in writer.facts}
        assert len(marked) == len(writer.facts)


@pytest.mark.parametrize("suffix", WRITERS)
def test_office_files_say_what_they_are_asked(suffix: str) -> None:
    for seed in range(6):
        made = draft("x", suffix, random.Random(seed), writer_for(f"{suffix} {seed}"))
        text = text_of(made.data, suffix)
        missing = [fact.answer for fact in made.writer.facts if fact.answer not in text]
        assert not missing


def test_questions_in_vain_are_not_answered() -> None:
    for topic in topic_names():
        for seed in range(4):
            writer = writer_for(f"{topic} {seed}")
            writer.fields(topic, 6)
            writer.table(3, 2)
            writer.sentences(3)
            assert writer.absent
            assert not set(writer.absent) & {fact.question for fact in writer.facts}


def test_a_topic_asks_for_no_field_in_two_ways_that_others_share() -> None:
    for topic in topic_names():
        questions = [q for _, asked, _ in topics()[topic]["fields"] for q in asked]
        assert len(set(questions)) == len(questions), topic


def test_look_alikes_share_everything_but_their_values() -> None:
    pages = []
    for number in range(3):
        values = Values(random.Random(number), random.Random("formats"))
        writer = Writer(random.Random("words"), values)
        html, size = make_html("boxed_form", random.Random("looks"), writer)
        pages.append((re.sub(r'(data-fact="\w+">)[^<]*', r"\1", html), size))
        assert len({fact.answer for fact in writer.facts}) == len(writer.facts)
    assert pages[0] == pages[1] == pages[2]


def test_the_same_seed_makes_the_same_document() -> None:
    one, two = (make_html("invoice", random.Random(3), writer_for("a"))[0] for _ in range(2))
    assert one == two != make_html("invoice", random.Random(3), writer_for("b"))[0]


def test_values_are_found_in_a_text_layer_as_whole_words_only() -> None:
    text = "Room 12 and 123, 12\nkm"
    boxes = [None if c.isspace() else Box(10 * i, 0, 10 * i + 9, 10) for i, c in enumerate(text)]
    boxes[-2:] = [Box(0, 20, 9, 30), Box(10, 20, 19, 30)]  # the unit stands on the next line
    layer = Layer(text, boxes)
    assert [word.text for word in layer.words()] == ["Room", "12", "and", "123,", "12", "km"]
    assert len(layer.find("12")) == 2
    assert layer.find("12 km") == [[Box(170, 0, 189, 10), Box(0, 20, 19, 30)]]
    assert layer.find("23") == []


def test_queries_name_the_value() -> None:
    writer = writer_for("q")
    content = writer.fields("invoice", 4)
    rng = random.Random(0)
    for found in content.fields:
        assert found.fact.answer in query_for(found.fact, content.title, rng)
        assert not query_for(found.fact, "", rng).startswith((",", " "))
