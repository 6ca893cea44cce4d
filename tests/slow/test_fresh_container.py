"""Binder's postBuild in a fresh environment: afterwards the setup cell has nothing to do, and the doctor is content."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt", "lossprune_lib", "data", ".binder")


@pytest.mark.slow
def test_postbuild_installs_the_course(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project / name)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOSSPRUNE"))}
    clean["PATH"] = f"{tmp_path / 'env' / 'bin'}:{clean['PATH']}"
    # PyTorch's own index may be out of reach; elsewhere the pinned torch is to be had too.
    build = project / ".binder" / "postBuild"
    build.write_text(build.read_text().replace(" TORCH=cpu", ""))
    done = subprocess.run([build], cwd=project, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    setup = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", 4).cells[1].source
    code = f"{setup}\nfrom lossprune_lib import doctor, installation, widgets\nprint(installation.PACKAGE)\n"
    code += "assert (doctor.check()['status'] == 'OK').all(), doctor.check().to_string()"
    (project / "notebooks").mkdir()
    run = subprocess.run(
        ["python", "-c", code], cwd=project / "notebooks", env=clean, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(project / "lossprune_lib"), "nothing was left to install"
    assert shutil.which("jupyter", path=clean["PATH"]) == str(tmp_path / "env" / "bin" / "jupyter")
