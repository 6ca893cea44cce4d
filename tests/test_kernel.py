"""In a kernel of its own: interrupted in the middle of training; left by one page and rejoined by another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

SECONDS = 120
NETWORK = """
import torch
from lossprune_lib import data, models, training, widgets
task = data.load("digits", device="cpu")
net = models.mlp_300_100(task)
before = [parameter.clone() for parameter in net.parameters()]
"""


@pytest.fixture
def kernel() -> Iterator[KernelManager]:
    manager = KernelManager()
    manager.start_kernel()
    yield manager
    manager.shutdown_kernel(now=True)


def page(kernel: KernelManager) -> BlockingKernelClient:
    client = kernel.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=SECONDS)
    return client


def printed(client: BlockingKernelClient, code: str) -> str:
    """Run a cell and return what it printed; fail if it raised."""
    words: list[str] = []

    def hear(message: dict) -> None:
        words.append(message["content"].get("text", ""))

    reply = client.execute_interactive(code, output_hook=hear, timeout=SECONDS)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(words)


def test_a_kernel_stopped_in_training_goes_on(kernel: KernelManager) -> None:
    client = page(kernel)
    printed(client, NETWORK)
    stopped = False

    def stop(message: dict) -> None:
        nonlocal stopped
        if "epoch 2" in message["content"].get("text", "") and not stopped:
            stopped = True
            kernel.interrupt_kernel()

    endless = (
        "training.fit(net, task, 10**6, progress=False, on_epoch=lambda epoch, _: print('epoch', epoch, flush=True))"
    )
    reply = client.execute_interactive(endless, output_hook=stop, timeout=SECONDS)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    same = "print(all(torch.equal(a, b) for a, b in zip(before, net.parameters())), net.training)"
    assert printed(client, same).split() == ["True", "False"]
    again = "print(training.evaluate(training.fit(net, task, 1, progress=False), task).error < 0.5)"
    assert printed(client, again).strip() == "True"
    client.stop_channels()


def test_a_notebook_closed_and_opened_again_goes_on(kernel: KernelManager) -> None:
    first = page(kernel)
    printed(first, NETWORK + "slider = widgets.sparsity_slider(net, task)")
    first.stop_channels()
    second = page(kernel)
    moved = "slider.controls['point'].value = 3; print(slider.picture.alt, repr(slider.message.value))"
    assert printed(second, moved).startswith("6.0 % pruned: ")
    assert printed(second, "slider.controls['point'].value = 5; print(repr(slider.message.value))").strip() == "''"
    second.stop_channels()
