"""Answers chosen from the lines of a page, with and without its picture in the prompt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from hydra_rag.model import HydraModel
from hydra_rag_agents.ports import EvidenceLine
from hydra_rag_agents.reader import NANO, ModelReader
from hydra_rag_agents.state import ReaderProfile

LINES = (EvidenceLine("Total: 48.20", ((0.1, 0.2, 0.1), (0.9, 0.8, 0.9))),)
PROMPT = "Text: Total: 48.20\nWhat is the total?"


@pytest.fixture(scope="module")
def model() -> Iterator[HydraModel]:
    with HydraModel.load("nano") as made:
        yield made


class Reader(ModelReader):
    def __init__(self, model: HydraModel, profile: ReaderProfile) -> None:
        super().__init__(lambda: model)
        self._profile = profile


@pytest.mark.parametrize("shown", [True, False])
def test_the_picture_is_shown_where_the_profile_says_so(model: HydraModel, shown: bool) -> None:
    page = Image.new("RGB", (320, 224), "white")
    profile = ReaderProfile(style="nano", bound=True, bound_image=shown)
    reading = Reader(model, profile).read([page], PROMPT, max_new_tokens=16, seed=0, evidence=LINES)
    assert [delta.text for delta in reading] == ["48.20"]
    assert reading.result.weights[1] == 1.0 > reading.result.weights[0]
    cells = model.processor.grid(*page.size).cells
    assert (reading.result.prompt_tokens > cells) is shown


def test_the_built_in_model_chooses_from_the_lines_alone() -> None:
    assert NANO.bound
    assert not NANO.bound_image
