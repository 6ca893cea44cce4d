"""The built notebooks are those of their sources; they carry outputs that are compared, and nothing of this machine."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stale(build: ModuleType, source: Path, notebook: nbformat.NotebookNode) -> str:
    """Return what differs between a built notebook and its source, or nothing."""
    fresh = build.read(source)
    if fresh.metadata["source"] != notebook.metadata.get("source"):
        return "the hash of the source"
    cells = [[(c.id, c.cell_type, c.source, dict(c.metadata)) for c in n.cells] for n in (fresh, notebook)]
    return "" if cells[0] == cells[1] else "the cells"


def test_every_source_is_built_and_nothing_else(build: ModuleType) -> None:
    assert {source.stem for source in build.sources()} == {notebook.stem for notebook in NOTEBOOKS}
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_is_stale(build: ModuleType, path: Path) -> None:
    source = ROOT / "notebooks" / "source" / f"{path.stem}.py"
    assert not stale(build, source, nbformat.read(path, 4)), "run: make notebooks"


def test_a_changed_source_and_a_changed_cell_are_found(build: ModuleType, tmp_path: Path) -> None:
    path = NOTEBOOKS[0]
    source = ROOT / "notebooks" / "source" / f"{path.stem}.py"
    changed = tmp_path / source.name
    changed.write_text(source.read_text() + "\n# %%\n1 + 1\n")
    notebook = nbformat.read(path, 4)
    assert stale(build, changed, notebook) == "the hash of the source"
    notebook.cells[1].source += "\n1 + 1"
    assert stale(build, source, notebook) == "the cells"


def test_cell_ids_are_stable_and_unique(build: ModuleType, tmp_path: Path) -> None:
    source = build.sources()[0]
    before = [cell.id for cell in build.read(source).cells]
    assert len(set(before)) == len(before)
    header, *cells = source.read_text().split("# %%")
    (tmp_path / source.name).write_text("# %%".join([header, cells[0], "\nadded = 1\n\n", *cells[1:]]))
    after = [cell.id for cell in build.read(tmp_path / source.name).cells]
    assert [name for name in after if name in before] == before
    assert len(after) == len(before) + 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_there_and_at_least_three_are_compared(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    compared = [cell for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert len(compared) >= 3
    assert all(cell.outputs for cell in compared)
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_of_this_machine_is_left_in(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    assert set(notebook.metadata) == {"kernelspec", "language_info", "source"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
            assert "widget-view" not in "".join(output.get("data", {}))
            text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"/(home|root|tmp|work|Users)/| at 0x[0-9a-f]+", text), text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_headings_in_order(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    lines = sorted(len(cell.source.splitlines()) for cell in notebook.cells if cell.cell_type == "code")
    assert lines[len(lines) // 2] <= 6
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    levels = [len(match) for match in re.findall(r"^(#+) ", prose, re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    titles = re.findall(r"^#+ (.*)$", prose, re.M)
    assert len(set(titles)) == len(titles)
