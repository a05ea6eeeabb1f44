"""Every method finds a planted patch, whatever the scale of its signals, and is defined for even ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hydra_rag.errors import UsageError
from hydra_rag.geometry import Box, Grid
from hydra_rag.saliency import SaliencyMap
from hydra_rag.saliency.filters import DEFAULT_FILTERS, FILTERS, find_filters, isolated_cells, saliency
from hydra_rag.saliency.maps import cell_shares
from hydra_rag.saliency.methods import DEFAULT, METHODS, find_method
from hydra_rag.saliency.signals import Signals

GRID = Grid(8, 6)
PATCH = 27  # row 4, column 3
SINK = 0
NAMES = ("What", "is", "the", "total?")


def planted(*, sink: bool = False, seed: int = 0) -> Signals:
    """Random signals, the same under both instructions, plus what the question adds to one cell."""
    made = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return 0.5 + torch.rand(*shape, generator=made)

    cells = GRID.cells
    generic = 0.01 * noise(3, 4, cells)
    if sink:
        generic[..., SINK] += 0.4
    question = generic + 0.0005 * noise(3, 4, cells)
    question[..., PATCH] += 0.08
    before = generic[:, :, None].repeat(1, 1, 4, 1)
    words = before.clone()
    words[:, :, 3, PATCH] += 0.08
    words[:, :, :3] += 0.0005 * noise(3, 4, 3, cells)
    words[:, :, :3, 5] += 0.05  # stop words look somewhere else
    cell_values, word_values = torch.randn(3, 2, cells, 8, generator=made), torch.zeros(3, 2, 4, 8)
    word_values[:, :, 3, 0] = 1.0
    cell_values[:, :, PATCH] = 0.0
    cell_values[:, :, PATCH, 0] = 5.0
    similarity = 0.2 * noise(5, cells)
    similarity[2, PATCH] = 1.0
    gradient = noise(3, 4, cells) - 1.0
    gradient[..., PATCH] = 2.0
    sinks = torch.ones(3, cells)
    spread = torch.full((cells,), 30.0)
    spread[40:] = 0.0
    if sink:
        sinks[:, SINK] = 40.0
    return Signals(
        GRID, (1, 2, 3), question=question, generic=generic, words=words, before=before, names=NAMES,
        gradient=gradient, sinks=sinks, word_values=word_values, cell_values=cell_values,
        similarity=similarity, spread=spread, trend=torch.tensor([3.0, 2.0, 1.0]),
        scores=torch.tensor([[0.9, 0.1, 0.4, 0.2]] * 3),
    )  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_every_method_peaks_on_the_planted_patch(name: str, seed: int) -> None:
    found = saliency(planted(seed=seed), find_method(name), find_filters(["stop_words"]))
    assert found.peak == PATCH
    assert found.values.sum() == pytest.approx(1.0, abs=1e-5)
    assert found.method == name


@pytest.mark.parametrize("name", METHODS)
def test_with_filters_a_sink_does_not_win(name: str) -> None:
    assert saliency(planted(sink=True), find_method(name), find_filters(DEFAULT_FILTERS)).peak == PATCH


def test_without_filters_a_sink_fools_plain_attention_but_not_the_default() -> None:
    assert saliency(planted(sink=True), find_method("plain")).peak == SINK
    assert saliency(planted(sink=True), find_method(DEFAULT)).peak == PATCH


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("factor", [1e-4, 7.0])
def test_the_scale_of_the_signals_does_not_matter(name: str, factor: float) -> None:
    signals = planted()
    changed = signals.with_rows(lambda rows: rows * factor)
    changed = replace(changed, similarity=signals.get("similarity") * factor)
    plain, scaled = (saliency(s, find_method(name)) for s in (signals, changed))
    np.testing.assert_allclose(scaled.values, plain.values, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("level", [0.0, 0.02])
@pytest.mark.parametrize("filters", [(), DEFAULT_FILTERS, tuple(FILTERS)], ids=["none", "usual", "all"])
def test_even_signals_give_a_map_without_undefined_numbers(
    name: str, level: float, filters: tuple[str, ...]
) -> None:
    made = {
        key: torch.full_like(value, level)
        for key, value in ((k, getattr(planted(), k)) for k in Signals.__slots__)
        if isinstance(value, torch.Tensor)
    }
    found = saliency(replace(planted(), **made), find_method(name), find_filters(filters))
    assert np.isfinite(found.values).all()
    assert found.entropy == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", FILTERS)
def test_no_filter_needs_more_than_it_declares(name: str) -> None:
    bare = Signals(GRID, (1, 2, 3), question=planted().question)
    assert np.isfinite(saliency(bare, find_method("plain"), find_filters([name])).values).all()


def test_blank_cells_get_nothing() -> None:
    found = saliency(planted(), find_method("plain"), find_filters(["blank"]))
    assert (found.values[40:] == 0).all()
    assert (found.values[:40] > 0).all()
    empty = replace(planted(), spread=torch.zeros(GRID.cells))
    assert saliency(empty, find_method("contrast"), find_filters(["blank"])).peak == PATCH


def test_isolated_cells_stand_alone_in_both_probes() -> None:
    rows = torch.ones(1, 1, GRID.cells)
    rows[..., PATCH] = 11.0
    lone, mean = isolated_cells(rows, GRID)
    assert lone.nonzero()[:, -1].tolist() == [PATCH]
    assert float(mean[0, 0, PATCH]) == 1.0
    both = Signals(GRID, (0,), question=rows, generic=rows)
    assert float(FILTERS["isolated"].clean(both).get("question").max()) == 1.0
    evidence = Signals(GRID, (0,), question=rows, generic=torch.ones_like(rows))
    assert float(FILTERS["isolated"].clean(evidence).get("question").max()) == 11.0


def test_heads_that_do_not_look_at_the_page_are_left_out() -> None:
    question = torch.full((1, 4, GRID.cells), 1e-4)
    question[0, 0] += 0.5 / GRID.cells
    question[0, 0, PATCH] += 0.2
    question[0, 1, 3] += 0.1  # a head with a tenth of its attention on the page
    signals = Signals(GRID, (0,), question=question)
    cleaned = FILTERS["visual_mass"].clean(signals)
    assert cleaned.get("heads").tolist() == [[1.0, 0.0, 0.0, 0.0]]
    nobody = FILTERS["visual_mass"].clean(replace(signals, question=question * 1e-3))
    assert nobody.get("heads").tolist() == [[1.0] * 4]


def test_retrieval_heads_count_by_their_score() -> None:
    weights = FILTERS["retrieval_heads"].clean(planted()).get("heads")
    torch.testing.assert_close(weights[0], torch.tensor([0.9, 0.0, 0.4, 0.0]))


def test_stop_words_are_dropped_unless_nothing_is_left() -> None:
    cleaned = FILTERS["stop_words"].clean(planted())
    assert cleaned.names == ("total?",)
    assert cleaned.get("words").shape[2] == cleaned.get("word_values").shape[2] == 1
    only = replace(planted(), names=("What", "is", "the", "for"))
    assert FILTERS["stop_words"].clean(only).names == only.names


def test_the_trend_is_taken_out() -> None:
    rows = torch.linspace(3.0, 1.0, GRID.rows).repeat_interleave(GRID.cols).expand(1, 1, -1)
    signals = Signals(GRID, (0,), question=rows, trend=rows[0, 0, :: GRID.cols].clone())
    torch.testing.assert_close(FILTERS["trend"].clean(signals).get("question"), torch.ones(1, 1, GRID.cells))


def test_layers_can_be_picked() -> None:
    picked = planted().pick((3, 1))
    assert picked.layers == (3, 1)
    torch.testing.assert_close(picked.get("question"), planted().get("question")[[2, 0]])
    torch.testing.assert_close(picked.get("similarity"), planted().get("similarity"))


def test_unknown_names_are_told() -> None:
    with pytest.raises(UsageError, match="contrast"):
        find_method("magic")
    with pytest.raises(UsageError, match="isolated"):
        find_filters(["isolated", "magic"])
    with pytest.raises(ValueError, match="gradient"):
        saliency(Signals(GRID, (0,), question=torch.ones(1, 1, GRID.cells)), find_method("gradient"))


def test_maps_are_checked_and_frozen() -> None:
    found = SaliencyMap.of(Grid(2, 2), [np.nan, -1.0, 3.0, 1.0])
    np.testing.assert_allclose(found.values, [0, 0, 0.75, 0.25])
    assert found.peak == 2
    with pytest.raises(ValueError, match="read-only"):
        found.values[0] = 1.0
    with pytest.raises(ValueError, match="sum to one"):
        SaliencyMap(Grid(1, 2), np.ones(2, np.float32))
    with pytest.raises(ValueError, match="finite"):
        SaliencyMap(Grid(1, 2), np.array([np.inf, 0], np.float32))
    assert SaliencyMap.of(Grid(1, 3), [0, 0, 0]).entropy == pytest.approx(1.0)


def test_mass_of_boxes() -> None:
    even = SaliencyMap.of(Grid(2, 2), np.ones(4))
    assert even.mass(Box(0, 0, 50, 100), 100, 100) == pytest.approx(0.5)
    assert even.mass(Box(25, 25, 75, 75), 100, 100) == pytest.approx(0.25)
    assert cell_shares(Grid(2, 2), Box(0, 0, 75, 50), 100, 100).tolist() == [1.0, 0.5, 0.0, 0.0]
    assert even.suppress(Box(0, 0, 50, 50), 100, 100).values.tolist() == pytest.approx(
        [0, 1 / 3, 1 / 3, 1 / 3]
    )
    x, y = SaliencyMap.of(Grid(2, 2), [0.0, 0.0, 0.0, 1.0]).peak_point(100, 100)
    assert (x, y) == (75, 75)
