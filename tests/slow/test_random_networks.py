"""Five hundred random networks: each modelled exactly, or refused in words; and all kinds of answers are among them."""

from __future__ import annotations

from collections import Counter

import pytest
from exactness import check
from hypothesis import HealthCheck, given, settings
from random_networks import Case, cases


@pytest.mark.slow
def test_five_hundred_random_networks_are_exact_or_refused_in_words() -> None:
    answers: Counter[str] = Counter()

    @settings(max_examples=500, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(cases())
    def try_one(case: Case) -> None:
        answers[check(case)] += 1

    try_one()
    print(f"\n{answers}")
    assert answers["exact"] > 250
    assert answers["mixes"] > 20
    assert answers["hidden"] < 5
