"""The language model: it never sees the future, remembers exactly, and goes through the library as any network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lossprune_lib import LocalPruner, LossModel, WeightSpace, data, models, training
from lossprune_lib.networks.gpt import TinyGPT, initialise
from lossprune_lib.seeds import generator


def small(vocabulary: int = 7, context: int = 6) -> TinyGPT:
    net = TinyGPT(vocabulary, context, blocks=2, width=8, heads=2).double().eval()
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.5, generator=generator(0, "test"))
    return net


def tokens(*shape: int, below: int = 7) -> torch.Tensor:
    return torch.randint(below, shape, generator=generator(0, "tokens"))


@pytest.fixture(scope="module")
def text() -> data.Task:
    return data.load("python_reference", device="cpu")


def test_it_has_about_360_000_weights_in_layers_of_their_own(text: data.Task) -> None:
    net = models.tiny_gpt(text)
    block = ["attention.query", "attention.key", "attention.value", "attention.proj", "up", "down"]
    space = WeightSpace(net)
    assert list(space.layers) == [f"block{i}.{layer}" for i in (1, 2, 3) for layer in block] + ["head"]
    assert space.size == 3 * 12 * 96**2 + 103 * 96
    assert sum(parameter.numel() for parameter in net.parameters()) == 364_704
    assert not net.training


def test_attention_is_torchs() -> None:
    attention = small().blocks[0].attention
    theirs = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        read = attention.query, attention.key, attention.value
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in read]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in read]))
        theirs.out_proj.load_state_dict(attention.proj.state_dict())
        x = torch.randn(3, 5, 8, dtype=torch.float64, generator=generator(0, "x"))
        future = torch.ones(5, 5, dtype=torch.bool).triu(1)
        torch.testing.assert_close(attention(x), theirs(x, x, x, attn_mask=future)[0], atol=1e-12, rtol=1e-12)


def test_no_token_depends_on_later_ones() -> None:
    net, first = small(), tokens(2, 6)
    second = first.clone()
    second[:, 4:] = (second[:, 4:] + 1) % 7
    before, after = net(first), net(second)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).all(-1).any()


@pytest.mark.parametrize("parts", [[6], [1] * 6, [3, 3], [2, 1, 3]])
def test_reading_in_parts_is_reading_at_once(parts: list[int]) -> None:
    net, memory = small(), small().blank()
    x = tokens(2, 6)
    read = torch.cat([net.read(part, memory) for part in x.split(parts, dim=1)], dim=1)
    torch.testing.assert_close(read, net(x), atol=1e-12, rtol=1e-12)


def test_more_than_the_context_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 6 tokens, not 7"):
        small()(tokens(1, 7))


def test_images_are_refused(digits: data.Task) -> None:
    with pytest.raises(ValueError, match="sequences of tokens"):
        models.tiny_gpt(digits)


def test_tokens_are_refused_by_networks_for_numbers(text: data.Task) -> None:
    with pytest.raises(TypeError, match="for sequences of tokens take tiny_gpt"):
        models.mlp_300_100(text)


def test_the_initial_weights_are_gpt2s_and_the_seeds(text: data.Task) -> None:
    net = models.tiny_gpt(text, seed=3)
    assert net.block1.up.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert net.block3.down.weight.std().item() == pytest.approx(0.02 / 6**0.5, rel=0.02)
    other = TinyGPT(103, 96)
    initialise(other, generator(3, "initial weights"))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    with torch.no_grad():
        assert training.evaluate(net, text, "test").loss == pytest.approx(torch.tensor(103.0).log().item(), abs=0.1)


def task_of(context: int = 6) -> data.Task:
    parts = [part for split in range(3) for part in (tokens(8 + split, context), tokens(8 + split, context))]
    return data.Task.from_tensors(*parts, classes=7)


def test_curvature_of_its_layers_is_exact() -> None:
    """Against the Gauss-Newton matrix's diagonal by autograd, a logit of a position at a time."""
    net, task = small(), task_of()
    batch = (task.x_train[:3], task.y_train[:3])
    layers = ["block1.attention.query", "block2.attention.value", "block1.up", "head"]
    space = WeightSpace(net, include=[f"{layer}.weight" for layer in layers])
    model = LossModel.at(space, batch)
    expected = torch.zeros_like(model.weights)
    for x in batch[0]:
        jacobian = torch.func.jacrev(lambda w, x=x: space.call(w, space.rest(), x[None])[0])(model.weights)  # [T, C, D]
        for rows, logits in zip(jacobian, net(x[None])[0].detach(), strict=True):
            p = logits.softmax(0)
            expected += p @ rows.square() - (p @ rows).square()
    torch.testing.assert_close(model.curvature, expected / batch[1].numel(), atol=1e-12, rtol=1e-9)


def test_it_is_trained_pruned_and_fine_tuned_as_any_network() -> None:
    task = task_of()
    recipe = training.Recipe(epochs=3, lr=0.01, batch_size=4, optimizer="adamw")
    net = training.fit(models.tiny_gpt(task), task, recipe=recipe, progress=False)
    run = LocalPruner("qm", sparsity=0.5, stages=2, batch_size=4, curvature_columns=2, exclude="head").prune(net, task)
    tuned = training.fit(run.network(), task, recipe=recipe, mask=run.mask, progress=False)
    assert all((weight[~part] == 0).all() for weight, part in zip(*_pruned(tuned, run.mask), strict=True))
    assert run.mask.sparsity == pytest.approx(0.5, abs=1e-5)


def _pruned(net: nn.Module, mask: object) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    space = mask.check(net)
    return list(space.parameters), mask.parts(space)


def test_it_is_saved_in_half_precision_and_comes_back_in_single(tmp_path: object) -> None:
    task = task_of()
    net = models.tiny_gpt(task)
    models.save(tmp_path / "net.safetensors", models.tiny_gpt(task).half(), "tiny_gpt", task)
    again = models.load(tmp_path / "net.safetensors")
    for ours, theirs in zip(again.parameters(), net.parameters(), strict=True):
        assert torch.equal(ours, theirs.half().float())


def test_the_shipped_network_predicts_held_out_text(text: data.Task) -> None:
    net = models.pretrained("tiny_gpt", text)
    with torch.no_grad():
        logits = net(text.x_test[:100])
    loss = F.cross_entropy(logits.flatten(0, 1), text.y_test[:100].flatten()).item()
    assert loss < 1.5
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
