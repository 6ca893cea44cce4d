"""What many tests share: small tasks, and networks of every kind that the curvature must be exact for."""

from __future__ import annotations

import pytest
import torch

from lossprune_lib import data, models


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
