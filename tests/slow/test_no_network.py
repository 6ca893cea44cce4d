"""Every notebook runs without a network and with an empty cache, once the project is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A network namespace of its own, from which nothing but this machine can be reached.
ALONE = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "alone"]


def alone(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ALONE, *command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.fixture
def no_network() -> None:
    if not (shutil.which("unshare") and shutil.which("ip") and alone(["true"]).returncode == 0):
        pytest.skip("a network namespace cannot be made here: it takes Linux, unshare, ip and the permission")
    links = alone(["ip", "-oneline", "link"]).stdout.splitlines()
    assert len(links) == 1, links


@pytest.mark.slow
def test_notebooks_need_no_network(no_network: None, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOSSPRUNE", "XDG"))}
    quiet = clean | {"HOME": str(tmp_path), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile"]
    command += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    notebooks = [str(path) for path in sorted(ROOT.glob("notebooks/*.ipynb"))]
    assert notebooks
    run = alone([*command, *notebooks], cwd=ROOT, env=quiet)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout
