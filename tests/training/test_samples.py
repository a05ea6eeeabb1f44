"""Training batches mean what the model's own code would make of the same page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hydra_rag.nano import tokens
from hydra_rag.nano.alphabet import ALPHABET
from hydra_rag.nano.build import build_config, build_model, build_tokenizer, save_processor
from hydra_rag.training.blocks import CELL_SLOTS, CLASS_OF, labelled, labels, merge_order, patchify
from hydra_rag.training.canvas import Canvas, Run
from hydra_rag.training.packing import pack, prefix_positions
from hydra_rag.training.samples import Branch, Sample, branch


@pytest.mark.parametrize("text", ["Invoice No. 12", "Straße €1,20 – ½", "漢字 <|im_end|> \t", ""])
def test_encode_equals_the_tokenizer_and_decodes_back(text: str) -> None:
    plain = text.replace("<|im_end|>", "<|im_end >")
    assert tokens.encode(plain) == build_tokenizer().encode(plain).ids
    assert tokens.decode(tokens.encode(text)) == text


def test_patches_equal_those_of_the_processor(tmp_path: Path) -> None:
    from hydra_rag.processor import HydraProcessor

    save_processor(tmp_path)
    processor = HydraProcessor.from_folder(tmp_path, build_config())
    pixels = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    prepared = processor.image(Image.fromarray(pixels), max_tokens=1000)
    assert prepared.grid == (3, 5)
    np.testing.assert_allclose(np.asarray(prepared.pixels), patchify(pixels), atol=1e-5)


def test_prefix_positions_equal_the_models_own() -> None:
    model = build_model(0)
    prefix = tokens.open_user() + tokens.image_run(15) + tokens.encode("Text: a\n")
    ids = torch.tensor([prefix])
    own, _ = model.model.get_rope_index(
        ids,
        mm_token_type_ids=(ids == model.config.image_token_id).long(),
        image_grid_thw=torch.tensor([[1, 6, 10]]),
        attention_mask=torch.ones_like(ids),
    )
    mine, after = prefix_positions(prefix, 3, 5)
    assert (own[:, 0].numpy() == mine).all()
    assert after == int(own.max()) + 1


def test_prompts_equal_those_of_the_chat_template(tmp_path: Path) -> None:
    from hydra_rag.processor import HydraProcessor

    save_processor(tmp_path)
    processor = HydraProcessor.from_folder(tmp_path, build_config())
    content = [
        {"type": "image", "image": Image.new("RGB", (96, 64))},
        {"type": "text", "text": "Text: a b\nWho?"},
    ]
    prompt = processor.chat([{"role": "user", "content": content}], image_tokens=100)
    mine = (
        tokens.open_user()
        + tokens.image_run(6)
        + tokens.encode("Text: a b\n")
        + branch("Who?", "x", "f").prompt
    )
    assert list(prompt.token_ids) == mine


def test_a_branch_sees_what_it_would_see_alone() -> None:
    model = build_model(3).eval()
    rng = np.random.default_rng(1)
    block = labelled(rng.integers(0, 255, (64, 96, 3)).astype(np.uint8), [])
    branches = [
        branch("What?", "12", "field"),
        branch("Which one is it?", "abc", "field"),
        branch("Who", "x", "field"),
    ]
    sample = Sample(block, 2, 3, tokens.open_user() + tokens.image_run(6), branches)
    other = Sample(None, 0, 0, tokens.open_user() + tokens.encode("Text: y\n"), branches[:1])
    packed = pack([sample, other])
    inner = model.model
    with torch.no_grad():
        embeds = inner.language_model.embed_tokens(packed.ids)
        cells = inner.visual(packed.patches, packed.grid).pooler_output
        embeds = embeds.masked_scatter(
            (packed.ids == model.config.image_token_id)[..., None].expand_as(embeds), cells
        )
        masks = {"full_attention": packed.mask(), "linear_attention": None}
        hidden = inner.language_model(
            inputs_embeds=embeds, attention_mask=masks, position_ids=packed.positions, use_cache=False
        ).last_hidden_state
        for k, one in enumerate(branches, start=1):
            ids = torch.tensor([sample.prefix + one.prompt + one.answer])
            alone = model(
                input_ids=ids,
                pixel_values=packed.patches,
                image_grid_thw=packed.grid,
                mm_token_type_ids=(ids == model.config.image_token_id).long(),
            ).logits[0, len(sample.prefix) :]
            together = model.lm_head(hidden[0][packed.branch_of[0] == k])
            torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_answers_alone_are_fully_weighted() -> None:
    one = Branch(tokens.encode("ab"), [*tokens.encode("c"), tokens.END], "field")
    packed = pack([Sample(None, 0, 0, tokens.encode("p"), [one])], prompt_weight=0.0)
    full = packed.weights[0] == 1.0
    assert packed.targets[0][full].tolist() == one.answer


def test_every_character_is_labelled_once_in_reading_order() -> None:
    first = Run("abc", np.array([0, 10, 20, 30], np.float32), 2, 12)
    second = Run("d e", np.array([0, 10, 16, 26], np.float32), 18, 28)
    found = labels([second, first], 2, 2, 16, 4)
    names = ["".join(ALPHABET[c - 1] for c in row if c) for row in found]
    assert names == ["ab", "c", "d ", "e"]
    cell = labels([second, first], 1, 1, 32, CELL_SLOTS)
    assert "".join(ALPHABET[c - 1] for c in cell[0] if c) == "abcd e"
    assert 0 not in CLASS_OF.values()


def test_merge_order_puts_the_patches_of_a_cell_together() -> None:
    grid = np.arange(16, dtype=np.int16).reshape(16, 1)
    assert merge_order(grid, 4, 4)[:, 0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]


def test_words_keep_their_boxes_on_the_page() -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    canvas = Canvas(200, 60)
    canvas.text(10, 10, "two words", font)
    words = canvas.words()
    assert [w.text for w in words] == ["two", "words"]
    ink = np.asarray(canvas.image.convert("L")) < 128
    covered = np.zeros_like(ink)
    for w in words:
        covered[w.box.top : w.box.bottom, w.box.left : w.box.right] = True
    assert ink.sum() > 50
    assert not (ink & ~covered).any()
