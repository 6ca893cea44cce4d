"""A few dozen random networks: each modelled exactly, or refused in words. The slow tests try five hundred."""

from __future__ import annotations

from exactness import check
from hypothesis import HealthCheck, given, settings
from random_networks import Case, cases


@settings(max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_random_networks_are_exact_or_refused_in_words(case: Case) -> None:
    check(case)
