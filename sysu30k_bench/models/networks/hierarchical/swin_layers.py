"""Layers of the Swin transformer: attention within shifted windows, and merging of patches."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_APART = -100.0


def _regions(length: int, window: int, shift: int, device: torch.device) -> torch.Tensor:
    """Numbers the rows (or columns) of a cyclically shifted grid by the region of the image that they came from.

    Returns:
        (length,) integers: 0, then 1 for the window that the shift cut, 2 for its part from the other end; all 0
        where nothing is shifted.
    """
    if shift == 0:
        return torch.zeros(length, dtype=torch.long, device=device)
    place = torch.arange(length, device=device)
    return (place >= length - window).long() + (place >= length - shift).long()


def _windows(grid: torch.Tensor, window: tuple[int, int]) -> torch.Tensor:
    """Cuts a grid (N, H, W, C) into windows (N, windows, places, C)."""
    count, height, width, channels = grid.shape
    cut = grid.reshape(count, height // window[0], window[0], width // window[1], window[1], channels)
    return cut.transpose(2, 3).reshape(count, -1, window[0] * window[1], channels)


class WindowAttention(nn.Module):
    """Multi-head attention within windows, with a learned bias for each relative place.

    Liu et al., "Swin Transformer" (https://arxiv.org/abs/2103.14030), section 3.2, equation 4.

    Args:
        width: Channels C.
        heads: Attention heads.
        window: Side of the square window.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(self, width: int, heads: int, window: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def _bias(self) -> torch.Tensor:
        """Looks up the bias of every pair of places in a window: (heads, places, places)."""
        table = self.relative_position_bias_table
        place = torch.arange(self.window**2, device=table.device)
        row, column = place // self.window, place % self.window
        down = row[:, None] - row[None] + self.window - 1
        right = column[:, None] - column[None] + self.window - 1
        return table[down * (2 * self.window - 1) + right].permute(2, 0, 1)

    def forward(self, grid: torch.Tensor, shift: tuple[int, int]) -> torch.Tensor:
        """Lets the places of each window attend to each other.

        Args:
            grid: (N, H, W, C), of any size: zeros fill it up to whole windows.
            shift: How far the grid is rolled up and to the left before it is cut into windows.

        Returns:
            (N, H, W, C).
        """
        count, height, width, channels = grid.shape
        side = self.window
        grid = functional.pad(grid, (0, 0, 0, -width % side, 0, -height % side))
        _, padded_height, padded_width, _ = grid.shape
        shifted = any(shift)
        if shifted:
            grid = grid.roll((-shift[0], -shift[1]), (1, 2))
        tokens = _windows(grid, (side, side))
        windows, places = tokens.shape[1:3]
        mask = self._bias()[None]
        if shifted:
            rows = _regions(padded_height, side, shift[0], grid.device)
            columns = _regions(padded_width, side, shift[1], grid.device)
            numbers = 3 * rows[:, None] + columns
            region = _windows(numbers[None, :, :, None], (side, side))[0, :, :, 0]
            apart = (region[:, None, :] != region[:, :, None]).to(mask.dtype) * _APART
            mask = mask + apart[:, None]
        qkv = self.qkv(tokens).reshape(count, windows, places, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(3, 0, 1, 4, 2, 5)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[None].to(query.dtype))
        seen = self.proj(seen.transpose(2, 3).reshape(count, windows, places, channels))
        back = seen.reshape(count, padded_height // side, padded_width // side, side, side, channels)
        grid = back.transpose(2, 3).reshape(count, padded_height, padded_width, channels)
        if shifted:
            grid = grid.roll(shift, (1, 2))
        return grid[:, :height, :width]


class Mlp(nn.Module):
    """Two linear layers with a GELU between them.

    Args:
        width: Channels in and out.
        hidden: Channels between.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (..., C) to (..., C)."""
        mapped: torch.Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return mapped


class SwinBlock(nn.Module):
    """Window attention and an MLP, each after a layer normalisation and added to its input.

    Args:
        width: Channels C.
        heads: Attention heads.
        window: Side of the window.
        hidden: Channels within the MLP.
        shifts: Whether this block rolls the grid by half a window.
        whole_windows_shift: Roll also where one window spans the whole grid, as dense detectors' versions do; image
            classifiers' versions leave such a grid in place.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        window: int,
        hidden: int,
        *,
        shifts: bool,
        whole_windows_shift: bool = False,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.shift = window // 2 if shifts else 0
        self.whole_windows_shift = whole_windows_shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window, qkv_bias)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, hidden)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Maps (N, H, W, C) to (N, H, W, C)."""
        height, width = grid.shape[1:3]
        rolls = [self.shift if self.whole_windows_shift or side > self.attn.window else 0 for side in (height, width)]
        grid = grid + self.attn(self.norm1(grid), (rolls[0], rolls[1]))
        merged: torch.Tensor = grid + self.mlp(self.norm2(grid))
        return merged


class PatchMerging(nn.Module):
    """Joins each 2 x 2 patches into one of twice the channels.

    Args:
        width: Channels C in.
        unfold: Order the joined channels as `torch.nn.Unfold` does (channel first), as mmpretrain and mmdetection do;
            otherwise patch first and down before right, as the paper's own code does.
    """

    def __init__(self, width: int, *, unfold: bool = False) -> None:
        super().__init__()
        self.unfold = unfold
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Maps (N, H, W, C) to (N, ceil(H/2), ceil(W/2), 2C); zeros fill odd sides."""
        grid = functional.pad(grid, (0, 0, 0, grid.shape[2] % 2, 0, grid.shape[1] % 2))
        count, height, width, channels = grid.shape
        patches = grid.reshape(count, height // 2, 2, width // 2, 2, channels)
        order = (0, 1, 3, 5, 2, 4) if self.unfold else (0, 1, 3, 4, 2, 5)
        joined = patches.permute(*order).reshape(count, height // 2, width // 2, 4 * channels)
        merged: torch.Tensor = self.reduction(self.norm(joined))
        return merged
