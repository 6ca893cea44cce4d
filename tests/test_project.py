"""The project as a whole: pins that a fresh machine can install, a quick import, functions that fit on a screen."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 60  # of a function, from def to its end


def test_constraints_are_pins_and_cover_what_is_required() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", line) for line in lines), lines
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    required = re.findall(r"^([A-Za-z0-9_-]+)", (ROOT / "requirements.txt").read_text(), re.M)
    assert {name.lower().replace("_", "-") for name in required} <= pinned
    assert "torch==2.13.0" in lines


def test_importing_brings_in_neither_plots_nor_pandas() -> None:
    code = (
        "import sys, lossprune_lib; from lossprune_lib import LocalPruner; "
        "print(sorted({'pandas', 'matplotlib', 'ipywidgets', 'sklearn', 'dask'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_first_model_loads_no_compiler() -> None:
    """Torch loads one, for up to two seconds, in some calls that have a plain equivalent."""
    code = (
        "import sys, torch; from lossprune_lib import LossModel, data, models; "
        "task = data.load('digits', device='cpu'); "
        "LossModel.at(models.pretrained('mlp_300_100', task), task.sample(9, torch.Generator())); "
        "print({'sympy', 'torch._dynamo'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_every_public_name_can_be_had() -> None:
    import lossprune_lib

    assert {name for name in lossprune_lib.__all__ if getattr(lossprune_lib, name) is None} == set()
    assert set(lossprune_lib.__all__) <= set(dir(lossprune_lib))


@pytest.mark.parametrize("folder", ["lossprune_lib", "tests"])
def test_every_function_fits_on_a_screen(folder: str) -> None:
    too_long = [
        f"{path.relative_to(ROOT)}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno - node.lineno >= MOST_LINES
    ]
    assert not too_long, "\n".join(too_long)


def test_no_two_test_files_share_a_name() -> None:
    """Pytest collects them by name: `make units` and `make browser` would not notice, `make test-slow` stops."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
