"""What README and the pages that it leads to promise: examples run and print what they say, and no link is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import warnings
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image

from lossprune_lib import Study, __main__, data, models, training
from lossprune_lib.networks.selection import SCOPES
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.schedules import SCHEDULES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
RECIPES = (ROOT / "notebooks" / "RECIPES.md").read_text("utf-8")
PAGES = [
    "README.md",
    ".github/CONTRIBUTING.md",
    *(f"notebooks/{name}.md" for name in ("INSTALL", "LIBRARY", "RECIPES")),
]
PAGES += ["notebooks/teaching/hub.md"]
EXAMPLES = [
    example
    for page in ("README", "notebooks/LIBRARY")
    for example in re.findall(r"```python\n(.*?)```", (ROOT / f"{page}.md").read_text("utf-8"), re.S)
]
BY_TITLE = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", RECIPES, re.M | re.S))


def test_the_library_example_runs() -> None:
    example, *_ = EXAMPLES
    assert len([line for line in example.splitlines() if line]) <= 8
    run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert "predicted_change" in run.stdout
    assert float(re.search(r"error=([\d.]+)", run.stdout)[1]) < 0.15


def test_the_study_example_runs(tmp_path: Path) -> None:
    *_, example = EXAMPLES
    short = {"training=50": "training=1", "tuning=20": "tuning=1", "seeds=range(3)": "seeds=[0]"}
    for written, run in short.items():
        assert written in example
        example = example.replace(written, run)
    code = example + "print(len(table), 'rows')"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    assert "9 rows" in run.stdout
    assert (tmp_path / "runs.sqlite").exists()


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == 2
    assert len(BY_TITLE) == RECIPES.count("```python") > 10
    listed, _, _ = RECIPES.partition("\n## ")
    anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in BY_TITLE]
    assert [anchor for anchor in anchors if f"(#{anchor})" not in listed] == []


@pytest.mark.parametrize("title", [title for title, text in BY_TITLE.items() if "from transformers" not in text])
def test_a_recipe_prints_what_it_says(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What needs transformers is run by the slow tests, which install it."""
    (code,) = re.findall(r"```python\n(.*?)```", BY_TITLE[title], re.S)
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        exec(compile(code, title, "exec"), {"__name__": "recipe"})
    printed = capsys.readouterr().out.splitlines()
    assert printed == re.findall(r"# -> (.*)", code)
    assert printed
    surprising = {warning.category.__name__ for warning in said if warning.category.__module__.startswith("lossprune")}
    assert all(f"`{name}`" in BY_TITLE[title] for name in surprising), surprising


def test_the_plan_that_the_help_shows_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["study", "run", "--help"])
    plan = re.search(r"looks like this.*?\n\n(.*?)\n\nexample:", capsys.readouterr().out, re.S)[1]
    words = set(re.findall(r"\w+(?::\w+)?", plan))
    path = tmp_path / "plan.toml"
    path.write_text(plan, "utf-8")
    runs = Study.read(path).runs
    assert {run.control for run in runs} == {"", "erk"}
    assert {run.curvature_columns for run in runs} == {None, 4}
    assert tomllib.loads(plan).keys() == {setting.name for setting in fields(Study)}
    assert words >= {*data.NAMES, *models.MODELS, *CRITERIA, *SCHEDULES, *SCOPES}
    assert words >= {setting.name for setting in fields(training.Recipe)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_titles(page: str) -> None:
    text, folder = (ROOT / page).read_text("utf-8"), (ROOT / page).parent
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        path, _, title = link.partition("#")
        assert (folder / path).exists(), link
        assert not title or title in {named.lower().replace(" ", "-").replace("'", "") for named in BY_TITLE}, link


def test_the_readme_is_read_in_a_minute() -> None:
    prose = re.sub(r"```.*?```|^\|.*?$|^\[!.*?$", "", README, flags=re.M | re.S)
    assert len(prose.split()) < 300
    assert all(f"]({page}" in README for page in PAGES[1:])


def test_badges_lead_where_learners_are_sent() -> None:
    here = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["lossprune"]
    owner_and_name = here["repository"].removeprefix("https://github.com/")
    for place in (
        f"colab.research.google.com/github/{owner_and_name}/blob/{here['ref']}/notebooks/00_start_here.ipynb",
        f"mybinder.org/v2/gh/{owner_and_name}/{here['ref']}?urlpath=lab/tree/notebooks/00_start_here.ipynb",
        f"github.com/{owner_and_name}/actions/workflows/test.yml/badge.svg",
    ):
        assert place in README
    assert (ROOT / ".github" / "workflows" / "test.yml").exists()


def test_the_moving_picture_moves_and_is_small() -> None:
    path = ROOT / re.search(r"\]\((\S+\.webp)\)", README)[1]
    assert path.stat().st_size < 1_000_000
    with Image.open(path) as picture:
        assert picture.n_frames > 10


def test_every_notebook_is_listed() -> None:
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{notebook.name}" in README
