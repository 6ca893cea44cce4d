"""TinyGPT: a small transformer that predicts the next token, from Linear layers, norms and nothing else.

Source: Radford et al. 2019, Language Models are Unsupervised Multitask Learners (GPT-2), in its layout and initial
weights, with the query, key and value of attention in layers of their own, so that each has its own part of a mask.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Memory = list[list[Tensor]]  # of each block: the keys and the values [N, heads, tokens so far, width of a head]


class Attention(nn.Module):
    """Causal self-attention: each token reads those up to itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        """Return [N, T, width] of the same; `seen` holds keys and values of earlier tokens, and gets those of x."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(-3, -2) for layer in (self.query, self.key, self.value)
        )
        if seen is not None:
            if seen:
                k, v = torch.cat([seen[0], k], dim=-2), torch.cat([seen[1], v], dim=-2)
            seen[:] = k, v
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        new, all_of_them = scores.shape[-2:]
        if new > 1:  # the last one reads all
            future = torch.ones(new, all_of_them, dtype=torch.bool, device=x.device).triu(all_of_them - new + 1)
            scores = scores.masked_fill(future, -math.inf)
        return self.proj((scores.softmax(dim=-1) @ v).transpose(-3, -2).flatten(-2))


class Block(nn.Module):
    """Attention and a multilayer perceptron, each behind a norm and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), seen)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class TinyGPT(nn.Module):
    """Tokens int64 [N, T] to the logits of each next token [N, T, vocabulary], for T up to `context`."""

    def __init__(self, vocabulary: int, context: int, *, blocks: int = 3, width: int = 96, heads: int = 4) -> None:
        super().__init__()
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        for i in range(1, blocks + 1):
            self.add_module(f"block{i}", Block(width, heads))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    @property
    def blocks(self) -> list[Block]:
        return [module for module in self.children() if isinstance(module, Block)]

    def forward(self, tokens: Tensor) -> Tensor:
        return self._logits(tokens, 0, [None] * len(self.blocks))

    def read(self, tokens: Tensor, memory: Memory) -> Tensor:
        """Return what `forward` gives for these tokens [N, T] after those read before.

        Parameters
        ----------
        memory : from `blank`, or from the call before, to which this one adds
            It spares reading the earlier tokens again. Together they are at most `context` tokens.
        """
        return self._logits(tokens, memory[0][0].shape[-2] if memory[0] else 0, memory)

    def blank(self) -> Memory:
        """Return the memory of a network that has read nothing."""
        return [[] for _ in self.blocks]

    def _logits(self, tokens: Tensor, start: int, memory: Memory | list[None]) -> Tensor:
        end = start + tokens.shape[-1]
        if end > self.context:
            raise ValueError(f"This network reads at most {self.context} tokens, not {end}: give the last ones.")
        x = self.tokens(tokens) + self.positions.weight[start:end]
        for block, seen in zip(self.blocks, memory, strict=True):
            x = block(x, seen)
        return self.head(self.norm(x))


def initialise(net: TinyGPT, draws: torch.Generator) -> None:
    """Draw the weights: from a normal distribution of deviation 0.02, smaller where blocks add to what they read."""
    small = 0.02 / math.sqrt(2 * len(net.blocks))
    for name, module in net.named_modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=small if name.endswith((".proj", ".down")) else 0.02, generator=draws)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
