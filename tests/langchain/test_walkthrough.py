"""The blocks of docs/langchain.md, run in order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "langchain.md"


def test_the_walkthrough_runs(made: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"place": made, "__name__": "walkthrough"}
    text = PAGE.read_text(encoding="utf-8")
    found = list(re.finditer(r"```python\n(.*?)```", text, flags=re.DOTALL))
    assert len(found) >= 6
    for block in found:
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block.group(1), str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert names["best"].metadata["document"] in printed
