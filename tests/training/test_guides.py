"""Guided attention: the places named for an answer's characters are where they stand."""

from __future__ import annotations

import random

import pytest
import torch

from hydra_rag.geometry import Box
from hydra_rag.nano import tokens
from hydra_rag.nano.build import CELL, build_model
from hydra_rag.training.contrastive import alignment_loss
from hydra_rag.training.guides import asked_in_image, asked_in_text, image_sources, merge, text_sources
from hydra_rag.training.language_stage import forward
from hydra_rag.training.packing import pack
from hydra_rag.training.retrieval_data import Alignment, draw_batch
from hydra_rag.training.samples import page_sample, read_sample
from hydra_rag.values import Word


def test_characters_are_found_in_their_cells() -> None:
    words = [Word("due", Box(0, 4, 30, 20)), Word("41.5", Box(33, 4, 33 + 4 * 32, 20))]
    places = image_sources("41.5", words, [Box(33, 0, 161, 24)], 2, 6, 100)
    assert [sorted(p) for p in places] == [[101, 102], [102, 103], [103, 104], [104, 105]]


def test_text_is_found_wherever_it_stands_and_both_kinds_are_merged() -> None:
    places = text_sources("ab", "ab cab", 10)
    assert places == [{10, 14}, {11, 15}]
    assert text_sources("x", "ab", 0) == []
    assert merge(places, [frozenset({1}), frozenset()]) == [{1, 10, 14}, {11, 15}]
    assert merge([], places) == places


def test_words_of_the_question_are_found_on_the_page() -> None:
    words = [
        Word("Delivery:", Box(0, 4, 60, 20)),
        Word("Oslo", Box(70, 4, 100, 20)),
        Word("When", Box(128, 4, 159, 20)),
    ]
    question = "When was it delivered?"
    assert asked_in_image(question, words, 1, 6, 10) == {20: {10, 11}}
    assert asked_in_text(question, "Delivery: Oslo", 100) == {20: set(range(100, 108))}


def test_words_that_do_not_spell_the_answer_leave_the_whole_box() -> None:
    words = [Word("other", Box(0, 0, 32, 32))]
    assert image_sources("ab", words, [Box(0, 0, 64, 32)], 1, 4, 5) == [{5, 6}, {5, 6}]
    assert image_sources("ab", words, None, 1, 4, 5) == []


@pytest.mark.parametrize("mode", ["image", "text", "both"])
def test_every_guide_of_a_made_page_points_at_its_answer(mode: str) -> None:
    guided = 0
    for seed in range(12):
        sample = page_sample(
            random.Random(seed), (6, 10), size=(15, 20), questions=6, mode=mode, wear=0.0, budget=300
        )
        pads = [i for i, t in enumerate(sample.prefix) if t == tokens.SPECIAL["<|image_pad|>"]]
        for branch in sample.branches:
            for token, places in zip(branch.answer, branch.sources, strict=False):
                in_text = [p for p in places if p not in pads]
                assert all(sample.prefix[p] == token for p in in_text)
                assert all(p < len(sample.prefix) for p in places)
                guided += bool(places)
    assert guided > 100


def test_a_block_s_reading_is_guided_from_left_to_right() -> None:
    sample = read_sample(random.Random(4), 0.2, (32, 384), whole=True)
    (branch,) = sample.branches
    lefts = [min(p) for p in branch.sources]
    assert len(lefts) == len(branch.answer) - 1
    assert lefts == sorted(lefts)
    assert max(lefts) - min(lefts) <= 384 // CELL


def test_guided_loss_teaches_the_attention_to_look_there() -> None:
    from hydra_rag.attention import NAME, register

    register()
    model = build_model(1)
    model.set_attn_implementation({"text_config": NAME})
    batch = pack([page_sample(random.Random(2), (3, 8), size=(15, 20), questions=4, mode="image", wear=0.0)])
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    looks = []
    for _ in range(12):
        loss, stats = forward(model, batch, train_vision=False, guide=1.0)
        looks.append(stats["first"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    plain, stats = forward(model, batch, train_vision=False)
    assert "first" not in stats
    assert torch.isfinite(plain)
    assert looks[-1] > 2 * looks[0]


def test_alignment_is_the_share_of_similarity_on_the_cells_that_show_the_character() -> None:
    query, page = torch.randn(5, 8), torch.randn(4, 8)
    aligned = [Alignment(0, 0, 2, [frozenset({1}), frozenset(), frozenset({0, 3})])]
    plain = [
        -torch.softmax(query[row] @ page.T / 0.05, 0)[cells].sum().log()
        for row, cells in ((2, [1]), (4, [0, 3]))
    ]
    torch.testing.assert_close(alignment_loss([query], [page], aligned), torch.stack(plain).mean())
    assert float(alignment_loss([query], [page], [])) == 0.0
    assert float(alignment_loss([query], [page], [Alignment(0, 0, 4, [frozenset({1})] * 2)])) == 0.0


def test_cells_of_other_pages_compete_unless_they_are_relevant_too() -> None:
    query, pages = torch.randn(3, 8), [torch.randn(4, 8), torch.randn(2, 8), torch.randn(5, 8)]
    aligned = [Alignment(0, 2, 1, [frozenset({0, 3})])]
    against = torch.cat([pages[0], pages[2]])
    plain = -torch.softmax(query[1] @ against.T / 0.05, 0)[[4, 7]].sum().log()
    torch.testing.assert_close(alignment_loss([query], pages, aligned, relevant=[[1, 2]]), plain)


def test_drawn_alignments_name_text_queries_and_cells_of_their_page() -> None:
    batch = draw_batch(random.Random(5), pages=6, cells=(8, 10))
    assert len(batch.aligned) >= 4
    for one in batch.aligned:
        query = batch.queries[one.query]
        assert isinstance(query, str)
        assert one.start + len(one.cells) <= len(query)
        assert one.page in batch.relevant[one.query]
        assert all(0 <= cell < 80 for cells in one.cells for cell in cells)
