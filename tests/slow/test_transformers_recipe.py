"""The recipe for a model of the transformers package, where that is installed: it prints what it says."""

from __future__ import annotations

from pathlib import Path

import architectures
import pytest
import test_readme


@pytest.mark.slow
def test_the_recipe_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not architectures.are_installed():
        pytest.skip("timm and transformers are not installed: make test-slow does that")
    title = "A model of the transformers package"
    test_readme.test_a_recipe_prints_what_it_says(title, tmp_path, monkeypatch, capsys)
