"""The block of a vision transformer: attention and a perceptron, each added to its input."""

from __future__ import annotations

from typing import Literal

import torch
from timm.layers import LayerScale, Mlp
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.networks.vits.attention import Attention, Bias, Turn

Perceptron = Literal["gelu", "swiglu_packed", "swiglu_split"]


class Block(nn.Module):
    """A block with normalisation before each part (Dosovitskiy et al., ICLR 2021, equations 2 and 3).

    Args:
        dim: Width of the tokens.
        heads: Heads of the attention.
        hidden: Hidden width of the perceptron.
        bias: Of queries, keys and values.
        layer_scale: Whether each part's output has a learned factor for every channel (Touvron et al., CaiT, 2021).
        perceptron: `gelu`, or one of SwiGLU with its two input layers in one (DINOv2) or apart (DINOv3).
        window: Of the attention's relative position biases.
        scale: Of the attention's dot products.
        eps: Of the normalisations.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        bias: Bias = "full",
        layer_scale: bool = False,
        perceptron: Perceptron = "gelu",
        window: list[int] | None = None,
        scale: float | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, bias, window, scale)
        self.ls1: nn.Module = LayerScale(dim) if layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp: nn.Module = _perceptron(perceptron, dim, hidden)
        self.ls2: nn.Module = LayerScale(dim) if layer_scale else nn.Identity()

    def forward(
        self, tokens: torch.Tensor, added: torch.Tensor | None = None, turn: Turn | None = None
    ) -> torch.Tensor:
        """Maps tokens (N, T, D) to tokens of the same shape; see `Attention` for the other two."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens), added, turn))
        output: torch.Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return output


class PackedSwiGLU(nn.Module):
    """SwiGLU whose first layer holds gate and value one after the other (DINOv2's giant)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(dim, 2 * hidden)
        self.w3 = nn.Linear(hidden, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (N, T, D) to (N, T, D)."""
        gate, value = self.w12(tokens).chunk(2, dim=-1)
        output: torch.Tensor = self.w3(functional.silu(gate) * value)
        return output


class SplitSwiGLU(nn.Module):
    """SwiGLU with layers for gate and value (Shazeer, GLU Variants Improve Transformer, 2020; DINOv3)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden)
        self.w2 = nn.Linear(dim, hidden)
        self.w3 = nn.Linear(hidden, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (N, T, D) to (N, T, D)."""
        output: torch.Tensor = self.w3(functional.silu(self.w1(tokens)) * self.w2(tokens))
        return output


def _perceptron(kind: Perceptron, dim: int, hidden: int) -> nn.Module:
    if kind == "swiglu_packed":
        return PackedSwiGLU(dim, hidden)
    if kind == "swiglu_split":
        return SplitSwiGLU(dim, hidden)
    network: nn.Module = Mlp(dim, hidden)
    return network
