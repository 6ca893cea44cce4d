"""Progress bars: shown when asked for, and never if the environment turns them off."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import tqdm.auto
import tqdm.notebook

from lossprune_lib.progress import progress_bar

PROGRAM = """
from lossprune_lib.progress import progress_bar
with progress_bar({show}, total=3, desc="counting", mininterval=0) as bar:
    bar.update()
"""


@pytest.mark.parametrize(("show", "variable", "seen"), [(True, "", True), (False, "", False), (True, "1", False)])
def test_a_bar_is_seen_where_it_is_wanted(show: bool, variable: str, seen: bool) -> None:
    # In a process of its own: tqdm reads the environment when it is imported.
    environment = {key: value for key, value in os.environ.items() if key != "TQDM_DISABLE"}
    environment |= {"TQDM_DISABLE": variable} if variable else {}
    command = [sys.executable, "-c", PROGRAM.format(show=show)]
    shown = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr
    assert ("counting" in shown) == seen


def test_the_variable_turns_bars_off_in_notebooks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tqdm.auto, "tqdm", tqdm.notebook.tqdm)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert progress_bar(True, total=3).disable
