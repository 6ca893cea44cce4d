"""Bad input is refused with the right kind of error and a sentence that says what to do."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lossprune_lib.checks import check_choice, check_finite, check_float, check_int, check_sparsity

OPTIONS = ("linear", "exponential", "cubic")


@pytest.mark.parametrize("name", OPTIONS)
def test_a_known_name_comes_back(name: str) -> None:
    assert check_choice(name, iter(OPTIONS), "schedule") == name


@pytest.mark.parametrize(("name", "near"), [("exponental", "exponential"), ("Cubic", "cubic"), ("linaer", "linear")])
def test_a_misspelt_name_is_refused_with_the_nearest_one(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"no schedule called '{name}'. Did you mean '{near}'"):
        check_choice(name, OPTIONS, "schedule")


@pytest.mark.parametrize("name", ["zzz", "", 3, None, ["zzz"]])
def test_a_name_like_no_other_is_refused_with_all_choices_and_no_suggestion(name: object) -> None:
    with pytest.raises(ValueError, match="Choose one of: linear, exponential, cubic") as caught:
        check_choice(name, OPTIONS, "schedule")
    assert "Did you mean" not in str(caught.value)


@given(st.integers(max_value=2**63 - 1), st.integers(-5, 5))
def test_whole_numbers_are_accepted_from_the_least_on(value: int, least: int) -> None:
    if value >= least:
        assert check_int(value, "stages", least) == value
    else:
        with pytest.raises(ValueError, match=f"stages is {value}, but must be at least {least}"):
            check_int(value, "stages", least)


def test_whole_numbers_end_where_torch_takes_no_more() -> None:
    with pytest.raises(ValueError, match="stages is too large, it must be at most 9223372036854775807"):
        check_int(2**63, "stages")


def test_numpy_integers_become_python_ones() -> None:
    assert type(check_int(np.int64(3), "stages")) is int
    assert type(check_float(np.float32(0.5), "lr")) is float


def test_whole_numbers_start_at_one_unless_told_otherwise() -> None:
    assert check_int(1, "stages") == 1
    with pytest.raises(ValueError, match="at least 1"):
        check_int(0, "stages")


@pytest.mark.parametrize("value", [True, False, 1.0, 1.5, "3", None, np.float64(2), np.True_, torch.tensor(3)])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"stages must be a whole number, not .*: give for example 1"):
        check_int(value, "stages", least=0)


@given(st.floats(min_value=0, allow_infinity=False))
def test_finite_numbers_from_zero_on_are_accepted(value: float) -> None:
    assert check_float(value, "lr") == value


@pytest.mark.parametrize(("value", "least"), [(-1e-9, 0.0), (math.nan, 0.0), (math.inf, 0.0), (-math.inf, 0.0), (1, 2)])
def test_numbers_below_the_least_nan_and_infinity_are_refused(value: float, least: float) -> None:
    with pytest.raises(ValueError, match=f"lr is .*, but must be finite and at least {least:g}"):
        check_float(value, "lr", least)


@pytest.mark.parametrize("value", [True, "0.1", None, 1j, [0.1]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="lr must be a number"):
        check_float(value, "lr")


@pytest.mark.parametrize("value", [0, 0.0, 0.5, Fraction(1, 3), np.float32(0.25), 1 - 2**-53])
def test_a_sparsity_from_zero_to_below_one_is_accepted(value: float) -> None:
    assert check_sparsity(value) == float(value)


@pytest.mark.parametrize("value", [1, 1.0, 95, 95.0])
def test_a_sparsity_of_one_or_in_per_cent_is_refused_with_the_right_way_to_write_it(value: float) -> None:
    with pytest.raises(ValueError, match=r"target is .* write 95 % as 0\.95"):
        check_sparsity(value, "target")


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_a_sparsity_that_is_negative_or_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="sparsity is"):
        check_sparsity(value)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor([1.0, -2.0]),
        torch.full((4,), torch.finfo(torch.float32).max),
        torch.tensor([torch.finfo(torch.float32).max] * 2 + [torch.finfo(torch.float32).min] * 4),
        torch.empty(0),
        torch.tensor(3),
    ],
    ids=["small", "sum overflows", "sum overflows downwards", "empty", "integer"],
)
def test_a_finite_tensor_comes_back_itself(tensor: torch.Tensor) -> None:
    assert check_finite(tensor, "The gradient") is tensor


@pytest.mark.parametrize(
    "bad", [(math.nan,), (math.inf,), (-math.inf,), (math.inf, -math.inf), (math.nan, 3e38, math.inf)]
)
def test_nan_and_infinity_are_refused_and_counted(bad: tuple[float, ...]) -> None:
    tensor = torch.tensor([[0.0, *bad, 1.0]])
    count = sum(not math.isfinite(value) for value in bad)
    with pytest.raises(ValueError, match=f"The gradient holds {count} values that are NaN or infinite.*learning rate"):
        check_finite(tensor, "The gradient")
