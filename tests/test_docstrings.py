"""The examples in docstrings run, and say what they give."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["data.loaders", "loss_modelling.loss", "loss_modelling.losses", "training"])
def test_examples_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"lossprune_lib.{module}"))
    assert found.attempted > 0
    assert found.failed == 0
