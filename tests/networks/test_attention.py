"""Attention's switches are those of the process: whoever turns them, they end as they were."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from lossprune_lib.networks import attention
from lossprune_lib.networks.attention import plain_attention


def switches() -> tuple[bool, bool, bool, bool]:
    cuda = torch.backends.cuda
    fused = cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.cudnn_sdp_enabled()
    return torch.backends.mha.get_fastpath_enabled(), *fused


def test_two_that_overlap_leave_the_switches_as_they_were() -> None:
    before = switches()
    first, second = ExitStack(), ExitStack()
    first.enter_context(plain_attention())
    second.enter_context(plain_attention())
    first.close()
    assert switches() == (False,) * 4  # the second is still inside
    second.close()
    assert switches() == before


def test_two_threads_that_overlap_leave_the_switches_as_they_were() -> None:
    before = switches()
    both_inside, first_is_out = threading.Barrier(2, timeout=10), threading.Event()

    def first() -> tuple[bool, ...]:
        with plain_attention():
            both_inside.wait()
            found = switches()
        first_is_out.set()
        return found

    def second() -> tuple[bool, ...]:
        with plain_attention():
            both_inside.wait()
            assert first_is_out.wait(10)
            return switches()  # while it is inside alone

    with ThreadPoolExecutor(2) as threads:
        found = [threads.submit(work) for work in (first, second)]
        assert [each.result() for each in found] == [(False,) * 4] * 2
    assert switches() == before


def test_nobody_is_inside_before_the_switches_are_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    before, second_is_inside = switches(), threading.Event()

    def second() -> tuple[bool, ...]:
        with plain_attention():
            second_is_inside.set()
            return switches()

    with ThreadPoolExecutor(1) as threads:
        found = []

        def slow(backend: SDPBackend) -> AbstractContextManager[None]:
            found.append(threads.submit(second))
            second_is_inside.wait(0.1)  # in vain: it must not come in while these are half turned
            return sdpa_kernel(backend)

        monkeypatch.setattr(attention, "sdpa_kernel", slow)
        with plain_attention():
            assert found[0].result() == (False,) * 4
    assert switches() == before
