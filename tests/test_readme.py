"""What the README promises: its library example runs, and no link is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_library_example_runs() -> None:
    example, _ = EXAMPLES
    assert len([line for line in example.splitlines() if line]) <= 8
    run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert "predicted_change" in run.stdout
    assert float(re.search(r"error=([\d.]+)", run.stdout)[1]) < 0.15


def test_the_study_example_runs(tmp_path: Path) -> None:
    _, example = EXAMPLES
    code = "from lossprune_lib import Study\n" + example.replace("50", "1").replace("tuning=20", "tuning=1")
    code += "print(len(table), 'rows')"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert run.returncode == 0, run.stderr
    assert "27 rows" in run.stdout
    assert (tmp_path / "runs.sqlite").exists()


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_notebook_is_listed() -> None:
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{notebook.name}" in README
