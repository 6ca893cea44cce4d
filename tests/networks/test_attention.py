"""Attention's switches are those of the process: whoever turns them, they end as they were."""

from __future__ import annotations

from contextlib import ExitStack

import torch

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
