"""Figures of a running notebook carry words: the course's for the cell, or what stands on their axes."""

from __future__ import annotations

import base64
import re
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import nbformat
from nbclient import NotebookClient

from lossprune_lib.exercises import alternatives, course

SPOKEN = re.compile(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)">')
COURSE = [cell for cell in course.cells(course.notebooks()[0]) if cell.alt]


def test_a_notebook_shows_figures_with_words() -> None:
    cells = [
        "from lossprune_lib import exercises\nimport matplotlib.pyplot as plt",
        "figure, ax = plt.subplots()\nax.set(xlabel='a < b', ylabel='loss', title='One')\nplt.show()",
        "figure",
        "plt.figure()\nplt.show()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60).execute()
    _, shown, again, empty = notebook.cells
    for cell in (shown, again):
        [output] = cell.outputs
        picture, words = SPOKEN.fullmatch(output.data["text/html"]).groups()
        assert words == "A figure. One: loss against a &lt; b"
        assert base64.b64decode(picture) == base64.b64decode(output.data["image/png"])
    assert all("image/png" not in output.get("data", {}) for output in empty.outputs)


def test_a_size_that_retina_gives_is_kept() -> None:
    cells = [
        "import matplotlib.pyplot as plt\nplt.switch_backend('module://matplotlib_inline.backend_inline')\n"
        "%config InlineBackend.figure_format = 'retina'",
        "from lossprune_lib import exercises",
        "figure, ax = plt.subplots(figsize=(2, 1), dpi=100)\nplt.show()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60).execute()
    [output] = notebook.cells[-1].outputs
    size = output.metadata["image/png"]
    assert f' width="{size.width}" height="{size.height}" alt="A figure."' in output.data["text/html"]
    assert f"base64,{output.data['image/png'].strip()}" in output.data["text/html"].replace("\n", "")


def shell(source: str) -> Any:
    return SimpleNamespace(get_parent=lambda: {"content": {"code": source}})


def test_a_cell_of_the_course_has_its_own_words() -> None:
    cell = COURSE[0]
    assert alternatives._of_cell(shell(f"{cell.source}\n")) == cell.alt
    assert alternatives._of_cell(shell(f"{cell.source} # changed")) == ""
    assert alternatives._of_cell(object()) == ""


def test_words_of_a_figure_without_any() -> None:
    figure, _ = plt.subplots(1, 2)
    assert alternatives.words(figure) == "A figure."
    plt.close(figure)
