"""What many tests share: small tasks, and networks of every kind that the curvature must be exact for."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import settings

from lossprune_lib import data, models
from lossprune_lib.exercises import checking

# The same examples in every run, and no deadline: the machine may be busy.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def digits() -> data.Task:
    return data.load("digits", device="cpu")


@pytest.fixture(scope="session")
def digits64() -> data.Task:
    return data.load("digits", device="cpu", dtype=torch.float64)


@pytest.fixture(scope="session")
def trained() -> torch.nn.Module:
    """The shipped digits network; tests must not change it."""
    return models.pretrained("mlp_300_100", "digits")


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Import a script from the notebooks folder by its name."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).parents[1] / "notebooks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium by Playwright: the one that CHROMIUM names, or that is on the path."""
    pytest.importorskip("playwright.sync_api")
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not executable:
        pytest.skip("There is no Chromium on this machine (Debian: apt-get install chromium).")
    chromium = importlib.import_module("chromium")
    with chromium.started(executable) as started:
        yield started


@pytest.fixture(autouse=True)
def _the_same_cases_in_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exercises draw fresh cases; once in thousands, two mistakes look alike in all of them."""
    seeds = itertools.count()
    monkeypatch.setattr(checking, "entropy", lambda: next(seeds))
