"""The Swin transformer with the options that public person re-ID and ImageNet files use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.shapes import shape_of
from sysu30k_bench.models.networks.hierarchical.swin_layers import PatchMerging, SwinBlock

_BLOCK = re.compile(r"layers\.(\d{1,2})\.blocks\.(\d{1,3})\.attn\.relative_position_bias_table")
_LARGEST = 64


class _PatchEmbed(nn.Module):
    def __init__(self, width: int, patch: int, *, normalised: bool) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv2d(3, width, patch, patch)
        self.norm = nn.LayerNorm(width) if normalised else nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to a grid (N, h, w, C); zeros fill the last patches."""
        height, width = images.shape[2:]
        images = functional.pad(images, (0, -width % self.patch, 0, -height % self.patch))
        grid: torch.Tensor = self.norm(self.proj(images).permute(0, 2, 3, 1))
        return grid


class _Stage(nn.Module):
    def __init__(self, blocks: Sequence[SwinBlock], downsample: PatchMerging | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        if downsample is not None:
            self.downsample = downsample


class Swin(nn.Module):
    """Swin transformer (https://arxiv.org/abs/2103.14030): the mean over the last grid after the last normalisation.

    Args:
        width: Channels of the first stage; each following stage has twice as many.
        depths: Blocks in each stage.
        heads: Attention heads of each stage.
        windows: Side of each stage's window.
        hidden: Channels within the MLPs of each stage.
        patch: Side of a patch in pixels.
        patch_norm: Whether the patch embedding ends with a layer normalisation.
        positions: Tokens of an absolute position embedding; 0 for none.
        qkv_bias: Whether queries, keys and values have a bias.
        merges_first: Whether a stage's patch merging belongs to the stage after it (timm since 0.9).
        unfold: The order of channels in patch merging, see PatchMerging.
        whole_windows_shift: See SwinBlock.
        semantic_weight: Strength of SOLIDER's semantic condition, from 0 to 1; below 0 for a network without one
            (https://arxiv.org/abs/2303.17602, section 3.3).
    """

    def __init__(
        self,
        width: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        windows: Sequence[int] = (7, 7, 7, 7),
        hidden: Sequence[int] = (384, 768, 1536, 3072),
        patch: int = 4,
        patch_norm: bool = True,
        positions: int = 0,
        qkv_bias: bool = True,
        merges_first: bool = False,
        unfold: bool = False,
        whole_windows_shift: bool = False,
        semantic_weight: float = -1.0,
    ) -> None:
        super().__init__()
        self.merges_first = merges_first
        self.semantic_weight = semantic_weight
        self.patch_embed = _PatchEmbed(width, patch, normalised=patch_norm)
        if positions:
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, positions, width))
        last = len(depths) - 1
        stages = []
        for index, depth in enumerate(depths):
            channels = width << index
            blocks = [
                SwinBlock(
                    channels,
                    heads[index],
                    windows[index],
                    hidden[index],
                    shifts=block % 2 == 1,
                    whole_windows_shift=whole_windows_shift,
                    qkv_bias=qkv_bias,
                )
                for block in range(depth)
            ]
            merging: PatchMerging | None = None
            if merges_first and index > 0:
                merging = PatchMerging(channels // 2, unfold=unfold)
            elif not merges_first and index < last:
                merging = PatchMerging(channels, unfold=unfold)
            stages.append(_Stage(blocks, merging))
        self.layers = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(width << last)
        if semantic_weight >= 0:
            after = [width << min(index + 1, last) for index in range(last + 1)]
            self.semantic_embed_w = nn.ModuleList([nn.Linear(2, channels) for channels in after])
            self.semantic_embed_b = nn.ModuleList([nn.Linear(2, channels) for channels in after])

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads width, depths, heads, windows and the image size for which the last window is the whole grid.

        Args:
            tensors: The file's tensors by the names of the paper's own code (or timm's).

        Returns:
            The options and the input size; None where the tensors are no Swin transformer's.
        """
        options = _read(tensors)
        if options is None:
            return None
        depths, windows, patch = options["depths"], options["windows"], options["patch"]
        assert isinstance(depths, list) and isinstance(windows, list) and isinstance(patch, int)  # noqa: PT018, S101
        side = windows[-1] * patch << (len(depths) - 1)
        size: dict[str, object] = {"height": side, "width": side} if 64 <= side <= 1024 else {}
        return Structure(options, input=size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        grid = self.patch_embed(images)
        if hasattr(self, "absolute_pos_embed"):
            grid = grid + self.absolute_pos_embed.reshape(1, *grid.shape[1:])
        for index, stage in enumerate(self.layers):
            downsample = getattr(stage, "downsample", None)
            if self.merges_first and downsample is not None:
                grid = downsample(grid)
            grid = stage.get_submodule("blocks")(grid)
            if not self.merges_first and downsample is not None:
                grid = self._conditioned(downsample(grid), index)
        pooled: torch.Tensor = self.norm(grid).mean(dim=(1, 2))
        return pooled

    def _conditioned(self, grid: torch.Tensor, index: int) -> torch.Tensor:
        """Scales and moves a grid (N, h, w, C) by what SOLIDER's semantic weight says."""
        if self.semantic_weight < 0:
            return grid
        weight = grid.new_tensor([self.semantic_weight, 1 - self.semantic_weight])
        scale: torch.Tensor = functional.softplus(self.semantic_embed_w[index](weight))
        moved: torch.Tensor = grid * scale + self.semantic_embed_b[index](weight)
        return moved


class PersonSwin(Swin):
    """The same network in its form for images of any size, as CION and SOLIDER train it on persons."""

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the options as Swin does; the input size is the protocol's, and every other block shifts.

        Args:
            tensors: The file's tensors by the names of the paper's own code.

        Returns:
            The options; None where the tensors are no Swin transformer's.
        """
        options = _read(tensors)
        return None if options is None else Structure({**options, "whole_windows_shift": True})


def _read(tensors: Mapping[str, torch.Tensor]) -> dict[str, object] | None:
    width, colours, patch, _ = shape_of(tensors, "patch_embed.proj.weight", 4)
    found = sorted((int(match[1]), int(match[2])) for match in map(_BLOCK.fullmatch, tensors) if match)
    stages = sorted({stage for stage, _ in found})
    depths = [sum(stage == own for own, _ in found) for stage in stages]
    unbroken = found == [(stage, block) for stage, depth in enumerate(depths) for block in range(depth)]
    if colours != 3 or not 1 <= patch <= 32 or not unbroken or not 1 < len(stages) <= 8:
        return None
    heads, windows, hidden = [], [], []
    for stage in stages:
        block = f"layers.{stage}.blocks.0."
        places, own_heads = shape_of(tensors, block + "attn.relative_position_bias_table", 2)
        window = (round(places**0.5) + 1) // 2
        own_hidden, channels = shape_of(tensors, block + "mlp.fc1.weight", 2)
        if places == 0 or window > _LARGEST or (2 * window - 1) ** 2 != places or own_heads == 0:
            return None
        if channels != width << stage or channels % own_heads or not 0 < own_hidden <= 16 * channels:
            return None
        heads.append(own_heads)
        windows.append(window)
        hidden.append(own_hidden)
    _, positions, _ = shape_of(tensors, "absolute_pos_embed", 3)
    return {
        "width": width,
        "depths": depths,
        "heads": heads,
        "windows": windows,
        "hidden": hidden,
        "patch": patch,
        "patch_norm": "patch_embed.norm.weight" in tensors,
        "positions": positions,
        "qkv_bias": "layers.0.blocks.0.attn.qkv.bias" in tensors,
        "merges_first": "layers.0.downsample.reduction.weight" not in tensors,
    }
