"""Self-attention of vision transformers, with the biases and position terms that projects add to it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Bias = Literal["full", "qv", "masked", "none"]
Turn = tuple[torch.Tensor, torch.Tensor]


class Attention(nn.Module):
    """Multi-head self-attention (Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, appendix A).

    Args:
        dim: Width of the tokens.
        heads: Number of heads.
        bias: Of queries, keys and values: `full`; `qv`, without the keys' (BEiT); `masked`, a full one times a stored
            mask (DINOv3); `none`.
        window: Rows and columns of the patches where the block has a table of relative position biases (BEiT).
        scale: Of the dot products; one over the root of the head's width where None.
    """

    def __init__(
        self, dim: int, heads: int, bias: Bias = "full", window: list[int] | None = None, scale: float | None = None
    ) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.scale = (dim // heads) ** -0.5 if scale is None else scale
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias in {"full", "masked"})
        self.proj = nn.Linear(dim, dim)
        self._bias = bias
        if bias == "masked":
            self.qkv.register_buffer("bias_mask", torch.ones(3 * dim))
        if bias == "qv":
            self.q_bias = nn.Parameter(torch.zeros(dim))
            self.v_bias = nn.Parameter(torch.zeros(dim))
        if window is not None:
            self.relative_position_bias_table = nn.Parameter(torch.zeros(table_rows(window), heads))

    def forward(
        self, tokens: torch.Tensor, added: torch.Tensor | None = None, turn: Turn | None = None
    ) -> torch.Tensor:
        """Lets every token look at all others.

        Args:
            tokens: (N, T, D).
            added: (H, T, T), added to the scaled dot products: a table that all blocks share.
            turn: Sine and cosine, each (P, D / H), by which queries and keys of the last P tokens are rotated.

        Returns:
            (N, T, D).
        """
        batch, length, dim = tokens.shape
        joined = functional.linear(tokens, self.qkv.weight, self._joined_bias())
        queries, keys, values = joined.reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if turn is not None:
            queries, keys = rotated(queries, turn), rotated(keys, turn)
        if self.window is not None:
            added = relative_bias(self.relative_position_bias_table, self.window)
        logits = (queries * self.scale) @ keys.transpose(-2, -1)
        weights = (logits if added is None else logits + added).softmax(dim=-1)
        output: torch.Tensor = self.proj((weights @ values).transpose(1, 2).reshape(batch, length, dim))
        return output

    def _joined_bias(self) -> torch.Tensor | None:
        if self._bias == "qv":
            return torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        if self._bias == "masked":
            return self.qkv.bias * self.qkv.get_buffer("bias_mask")
        return self.qkv.bias


class SharedBias(nn.Module):
    """A table of relative position biases that all blocks share (BEiT's pre-training)."""

    def __init__(self, heads: int, window: list[int]) -> None:
        super().__init__()
        self.window = window
        self.relative_position_bias_table = nn.Parameter(torch.zeros(table_rows(window), heads))

    def forward(self) -> torch.Tensor:
        """Returns the bias of every pair of tokens, (H, T, T)."""
        return relative_bias(self.relative_position_bias_table, self.window)


def table_rows(window: list[int]) -> int:
    """Rows of BEiT's table: one for every offset of two patches, and three that the class token takes part in."""
    return (2 * window[0] - 1) * (2 * window[1] - 1) + 3


def relative_bias(table: torch.Tensor, window: list[int]) -> torch.Tensor:
    """Looks up the bias of every pair of tokens (microsoft/unilm, beit; Bao et al., BEiT, ICLR 2022, appendix).

    Args:
        table: (rows, H); its last three rows are from the class token, to it, and of it with itself.
        window: Rows and columns of the patches.

    Returns:
        (H, T, T), T = 1 + rows x columns.
    """
    rows, columns = (torch.arange(side, device=table.device) for side in window)
    down, right = (axis.flatten() for axis in torch.meshgrid(rows, columns, indexing="ij"))
    offset_down = down[:, None] - down[None, :] + window[0] - 1
    offset_right = right[:, None] - right[None, :] + window[1] - 1
    patches = len(down)
    index = torch.full((patches + 1, patches + 1), len(table) - 3, device=table.device)
    index[1:, 1:] = offset_down * (2 * window[1] - 1) + offset_right
    index[1:, 0] = len(table) - 2
    index[0, 0] = len(table) - 1
    return table[index].permute(2, 0, 1)


def rotated(heads: torch.Tensor, turn: Turn) -> torch.Tensor:
    """Rotates the last tokens by their place, the two halves of a head's width as pairs (Su et al., RoFormer, 2021).

    Args:
        heads: (N, H, T, D).
        turn: Sine and cosine, each (P, D), of the last P tokens.
    """
    sine, cosine = turn
    first = heads.shape[2] - len(sine)
    patches = heads[:, :, first:]
    left, right = patches.chunk(2, dim=-1)
    moved = patches * cosine + torch.cat((-right, left), dim=-1) * sine
    return torch.cat((heads[:, :, :first], moved.to(heads.dtype)), dim=2)


def rope_periods(width: int, base: float = 100.0) -> torch.Tensor:
    """Periods of DINOv3's rotations, (width / 4): base ** (2 i / (width / 2)) (Siméoni et al., DINOv3, 2025, 3.2)."""
    return base ** (2 * torch.arange(width // 4, dtype=torch.float32) / (width // 2))


def rope_turn(rows: int, columns: int, periods: torch.Tensor) -> Turn:
    """Sine and cosine for every patch of a grid, whose centres lie between -1 and 1 along both sides (DINOv3).

    Args:
        rows: Of the grid.
        columns: Of the grid.
        periods: (D / 4).

    Returns:
        Each (rows x columns, D).
    """
    down = (torch.arange(rows, device=periods.device) + 0.5) / rows
    right = (torch.arange(columns, device=periods.device) + 0.5) / columns
    places = torch.stack(torch.meshgrid(down, right, indexing="ij"), dim=-1).flatten(0, 1) * 2 - 1
    angles = (2 * math.pi * places[:, :, None] / periods).flatten(1).tile(2)
    return angles.sin(), angles.cos()
