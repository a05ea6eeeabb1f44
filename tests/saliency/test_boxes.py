"""Boxes are whole numbers, half-open and inside the page; suppression, merging and cap do what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hydra_rag.geometry import Box, Grid
from hydra_rag.saliency import SaliencyMap
from hydra_rag.saliency.boxes import (
    Region,
    cap_area,
    components,
    covered_area,
    merge,
    nms,
    propose,
    snap,
    windows,
)
from hydra_rag.saliency.scores import auroc, box_scores, map_scores
from hydra_rag.values import Word

WIDTH, HEIGHT = 600, 800


@st.composite
def maps(draw: st.DrawFn) -> tuple[SaliencyMap, int, int]:
    grid = Grid(draw(st.integers(1, 12)), draw(st.integers(1, 12)))
    strengths = draw(arrays(np.float32, grid.cells, elements=st.floats(0, 1, width=32)))
    width, height = draw(st.integers(1, 900)), draw(st.integers(1, 900))
    return SaliencyMap.of(grid, strengths), width, height


@st.composite
def inside(draw: st.DrawFn, width: int = 100, height: int = 100) -> Box:
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Box(left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))


def check_inside(box: Box, width: int, height: int) -> None:
    assert all(type(v) is int for v in box)
    assert 0 <= box.left < box.right <= width
    assert 0 <= box.top < box.bottom <= height


@settings(max_examples=60, deadline=None)
@given(maps(), st.lists(inside(300, 300), max_size=5), st.sampled_from([0.25, 0.5, 1.0]))
def test_proposed_boxes_are_boxes_of_the_page(
    made: tuple[SaliencyMap, int, int], boxes: list[Box], cap: float
) -> None:
    found, width, height = made
    words = [Word("word", b) for b in boxes if b.right <= width and b.bottom <= height]
    regions = propose(found, width, height, words=words, cap=cap)
    assert len(regions) <= 3
    for region in regions:
        check_inside(region.box, width, height)
        assert 0.0 <= region.mass <= 1.0 + 1e-5
    assert covered_area([r.box for r in regions]) <= cap * width * height
    for i, one in enumerate(regions):
        assert all(one.box.iou(other.box) < 0.5 for other in regions[i + 1 :])
    for box in components(found, width, height):
        check_inside(box, width, height)
    window = windows(found, width, height)
    if window is not None:
        check_inside(window, width, height)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(inside(), st.floats(0, 1)), max_size=12), st.floats(0.1, 0.9))
def test_suppression_keeps_the_best_and_nothing_near_it(made: list[tuple[Box, float]], iou: float) -> None:
    regions = [Region(box, score, score) for box, score in made]
    kept = nms(regions, iou)
    assert [r.score for r in kept] == sorted((r.score for r in kept), reverse=True)
    for i, one in enumerate(kept):
        assert all(one.box.iou(other.box) < iou for other in kept[i + 1 :])
    for region in regions:
        assert any(r == region or (r.score >= region.score and r.box.iou(region.box) >= iou) for r in kept)
    assert nms(kept, iou) == kept


@settings(max_examples=60, deadline=None)
@given(st.lists(inside(), max_size=8))
def test_merged_boxes_cover_what_was_there(boxes: list[Box]) -> None:
    merged = merge(boxes)
    assert covered_area(boxes, merged) == covered_area(boxes)
    assert len(merged) <= len(boxes)
    for box in merged:
        check_inside(box, 100, 100)


@settings(max_examples=60, deadline=None)
@given(st.lists(inside(30, 30), max_size=5), st.lists(inside(30, 30), max_size=5))
def test_covered_area_counts_pixels_once(boxes: list[Box], others: list[Box]) -> None:
    def pixels(some: list[Box]) -> set[tuple[int, int]]:
        return {(x, y) for b in some for x in range(b.left, b.right) for y in range(b.top, b.bottom)}

    assert covered_area(boxes) == len(pixels(boxes))
    assert covered_area(boxes, others) == len(pixels(boxes) & pixels(others))


def planted(*cells: int) -> SaliencyMap:
    grid = Grid(20, 15)
    strengths = np.full(grid.cells, 0.01)
    strengths[list(cells)] = 1.0
    return SaliencyMap.of(grid, strengths)


def test_two_places_give_two_boxes() -> None:
    found = planted(32, 33, 34, 250, 251)
    boxes = components(found, WIDTH, HEIGHT)
    assert boxes == [Box(80, 80, 200, 120), Box(400, 640, 480, 680)]
    regions = propose(found, WIDTH, HEIGHT)
    assert all(any(r.box.intersect(box) == box for r in regions) for box in boxes)
    assert windows(planted(112, 113, 127, 128), WIDTH, HEIGHT) is not None


def test_an_even_map_gives_no_box() -> None:
    assert propose(SaliencyMap.of(Grid(20, 15), np.ones(300)), WIDTH, HEIGHT) == ()


def test_a_box_of_most_of_the_page_is_left_out() -> None:
    big, small = Region(Box(0, 0, 90, 90), 0.9, 1.0), Region(Box(0, 0, 10, 10), 0.1, 0.5)
    assert cap_area([big, small], 100, 100) == (small,)


def test_boxes_snap_to_words_and_lines() -> None:
    words = [Word("Total", Box(100, 100, 150, 120)), Word("41.0", Box(160, 100, 190, 120))]
    words += [Word("Elsewhere", Box(400, 100, 480, 120)), Word("Below", Box(100, 140, 150, 160))]
    assert snap(Box(90, 95, 170, 130), words) == Box(95, 95, 195, 125)  # the line, for more than half of it
    assert snap(Box(400, 90, 500, 125), words) == Box(395, 95, 485, 125)
    assert snap(Box(300, 300, 320, 320), words) == Box(300, 300, 320, 320)


def test_scores_of_maps() -> None:
    evidence = [Box(80, 80, 200, 120)]
    right = map_scores(planted(32, 33, 34), evidence, WIDTH, HEIGHT)
    assert right["pointing"] == right["pointing_near"] == right["pointing_exact"] == right["auroc"] == 1.0
    assert right["enrichment"] == pytest.approx(right["energy_in_box"] / 0.01)
    wrong = map_scores(planted(250), evidence, WIDTH, HEIGHT)
    assert wrong["pointing"] == wrong["pointing_near"] == 0.0
    assert wrong["auroc"] < 0.5
    even = map_scores(SaliencyMap.of(Grid(20, 15), np.ones(300)), evidence, WIDTH, HEIGHT)
    assert even["enrichment"] == pytest.approx(1.0, abs=1e-3)
    assert even["auroc"] == 0.5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=20))
def test_auroc_is_the_share_of_pairs_in_order(made: list[tuple[int, bool]]) -> None:
    inside_values = [v for v, positive in made if positive]
    others = [v for v, positive in made if not positive]
    values = np.array([v for v, _ in made], np.float32)
    got = auroc(values, np.array([p for _, p in made], np.float32))
    if not inside_values or not others:
        assert got == 0.5
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in inside_values for b in others]
    assert got == pytest.approx(sum(pairs) / len(pairs))


def test_scores_of_boxes() -> None:
    evidence = [Box(0, 0, 10, 10), Box(20, 0, 30, 10)]
    got = box_scores([Box(0, 0, 10, 10)], evidence, 100, 100)
    assert got == {"iou": 1.0, "iou@0.25": 1.0, "iou@0.5": 1.0, "coverage": 0.5, "area": 0.01}
    whole = box_scores([], evidence, 100, 100)
    assert (whole["coverage"], whole["area"]) == (1.0, 1.0)
    assert box_scores([Box(0, 0, 30, 10)], evidence, 100, 100)["iou"] == pytest.approx(2 / 3)
