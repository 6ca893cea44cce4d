"""What Binder, Codespaces and `make lab TORCH=cpu` run: the same installation, by the rules of those who run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
BINDER = ROOT / ".binder"
CPU = "--no-deps --index-url https://download.pytorch.org/whl/cpu torch"


def planned(*arguments: str) -> list[str]:
    """Return the commands that make would run."""
    run = subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


@pytest.mark.parametrize("target", ["lab", "test", "install"])
def test_torch_for_machines_without_a_gpu_comes_first_and_alone(target: str, tmp_path: Path) -> None:
    fresh = f"VENV={tmp_path / 'env'}"
    without = planned(target, fresh)
    assert not any("download.pytorch.org" in line for line in without)
    installs = [line for line in planned(target, fresh, "TORCH=cpu") if "pip install" in line]
    assert installs[0].endswith(CPU)
    assert "--constraint constraints.txt" in installs[0]
    assert installs[1:] == [line for line in without if "pip install" in line]


def test_another_torch_is_refused() -> None:
    run = subprocess.run(["make", "--dry-run", "lab", "TORCH=cuda"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode != 0
    assert "TORCH is cpu or nothing" in run.stderr


def test_both_containers_install_alike() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    *_, command = (BINDER / "postBuild").read_text().splitlines()
    assert container["postCreateCommand"] == command == "make install PYTHON=python TORCH=cpu"
    first, second = [line for line in planned(*command.split()[1:]) if "pip install" in line]
    assert first.endswith(CPU)
    assert second.endswith('--editable ".[course]"')


def test_repo2docker_finds_what_it_looks_for() -> None:
    """It reads this folder alone once there is one, runs an executable postBuild, and takes Python from runtime.txt."""
    known = {"apt.txt", "environment.yml", "postBuild", "requirements.txt", "runtime.txt", "start"}
    assert {path.name for path in BINDER.iterdir()} <= known
    assert os.access(BINDER / "postBuild", os.X_OK)
    assert (BINDER / "postBuild").read_text().startswith("#!/bin/bash\n")
    subprocess.run(["bash", "-n", BINDER / "postBuild"], check=True)
    version = re.fullmatch(r"python-(\d+\.\d+)\n", (BINDER / "runtime.txt").read_text())[1]
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["image"] == f"python:{version}"
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert version in SpecifierSet(supported)
    assert (BINDER / "apt.txt").read_text().split() == ["make"]
