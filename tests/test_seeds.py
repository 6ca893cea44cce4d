"""Random draws depend on seed and purpose alone, and are the same everywhere."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
import torch

from lossprune_lib.seeds import generator

PURPOSES = [(), ("batch",), ("batch", 0), ("batch", 1), ("batch", "1"), ("batch1",), ("order", 1), ("b", "atch", 1)]


def draws(*key: str | int) -> torch.Tensor:
    return torch.rand(8, generator=generator(*key))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_same_seed_and_purpose_give_the_same_draws(purpose: tuple[str | int, ...]) -> None:
    first = generator(3, *purpose)
    torch.rand(100, generator=first)
    assert torch.equal(draws(3, *purpose), draws(3, *purpose))


def test_any_other_seed_or_purpose_gives_other_draws() -> None:
    keys = list(itertools.product(range(5), PURPOSES))
    assert len({tuple(draws(seed, *purpose).tolist()) for seed, purpose in keys}) == len(keys)


def test_the_draws_of_shipped_results_can_be_repeated() -> None:
    """The derivation is part of every shipped result: changing it would change them all."""
    digest = hashlib.sha256(b"(1111, 'batch', 3)").digest()
    assert generator(1111, "batch", 3).initial_seed() % 2**64 == int.from_bytes(digest[:8], "little")


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    torch.rand(3, generator=generator(0, "batch"))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_generator_is_on_the_cpu() -> None:
    assert generator(0).device == torch.device("cpu")


def test_a_numpy_seed_is_the_same_seed() -> None:
    assert generator(np.int64(7), "batch").initial_seed() == generator(7, "batch").initial_seed()


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (0.5, TypeError), ("1", TypeError), (True, TypeError)])
def test_a_seed_that_is_no_natural_number_is_refused(seed: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="seed"):
        generator(seed, "batch")  # type: ignore[arg-type]
