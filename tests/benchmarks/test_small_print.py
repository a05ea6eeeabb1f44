"""Pages of small and of large print for the closer look."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.small_print import make
from hydra_rag_agents.eval_data import open_image, read_pages


def test_every_other_page_is_small_print(tmp_path: Path) -> None:
    make(tmp_path, 2, seed=3)
    small, large = read_pages(tmp_path)
    assert open_image(tmp_path, small.image).size == open_image(tmp_path, large.image).size == (1792, 2560)
    heights = [median(word.box.height for word in page.words) for page in (small, large)]
    assert heights[0] < 30 < heights[1]
    assert small.questions
    assert large.questions
