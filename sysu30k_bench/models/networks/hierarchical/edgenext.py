"""EdgeNeXt of any depth and width, by the names of its own code."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.convnext import ConvNeXtBlock, downsampling
from sysu30k_bench.models.networks.hierarchical.shapes import count_of, shape_of

_EPS = 1e-6
_WAVES = 32


class _Places(nn.Module):
    """Sines and cosines of a place in the grid, projected to the channels of its tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token_projection = nn.Conv2d(2 * _WAVES, width, 1)

    def forward(self, height: int, width: int) -> torch.Tensor:
        """Returns (1, C, height, width)."""
        weight = self.token_projection.weight
        step = torch.arange(_WAVES, device=weight.device)
        period = 10000.0 ** (2 * step.div(2, rounding_mode="floor") / _WAVES)
        axes = []
        for side in (height, width):
            angle = torch.arange(1, side + 1, device=weight.device) / (side + _EPS) * (2 * math.pi)
            angle = angle[:, None] / period
            axes.append(torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1))
        down = axes[0][:, None].expand(-1, width, -1)
        right = axes[1][None].expand(height, -1, -1)
        waves = torch.cat((down, right), dim=2).permute(2, 0, 1)[None]
        projected: torch.Tensor = self.token_projection(waves.to(weight.dtype))
        return projected


class _ChannelAttention(nn.Module):
    """Attention among channels in place of tokens (https://arxiv.org/abs/2106.09681, section 3.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (N, P, C) to (N, P, C)."""
        qkv = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 4, 1)
        query, key = functional.normalize(qkv[0], dim=-1), functional.normalize(qkv[1], dim=-1)
        attention = (query @ key.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        seen: torch.Tensor = self.proj((attention @ qkv[2]).flatten(1, 2).transpose(1, 2))
        return seen


class SplitAttentionBlock(nn.Module):
    """The block of EdgeNeXt's section 3.1 with split depthwise convolutions and attention among channels.

    Args:
        width: Channels C.
        part: Channels of each part of the split.
        convolutions: How many parts are convolved; what is left passes.
        heads: Attention heads.
        places: Whether places are added to the tokens.
    """

    def __init__(self, width: int, part: int, convolutions: int, heads: int, *, places: bool) -> None:
        super().__init__()
        self.part = part
        self.convs = nn.ModuleList([nn.Conv2d(part, part, 3, padding=1, groups=part) for _ in range(convolutions)])
        self.pos_embd = _Places(width) if places else None
        self.norm_xca = nn.LayerNorm(width, eps=_EPS)
        self.gamma_xca = nn.Parameter(torch.ones(width))
        self.xca = _ChannelAttention(width, heads)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        parts = list(torch.split(maps, self.part, dim=1))
        for index, convolution in enumerate(self.convs):
            parts[index] = convolution(parts[index] if index == 0 else parts[index - 1] + parts[index])
        mixed = torch.cat(parts, dim=1)
        if self.pos_embd is not None:
            mixed = mixed + self.pos_embd(*mixed.shape[2:])
        tokens = mixed.flatten(2).transpose(1, 2)
        tokens = tokens + self.gamma_xca * self.xca(self.norm_xca(tokens))
        tokens = self.gamma * self.pwconv2(functional.gelu(self.pwconv1(self.norm(tokens))))
        added: torch.Tensor = maps + tokens.transpose(1, 2).reshape(maps.shape)
        return added


class EdgeNeXt(nn.Module):
    """EdgeNeXt (https://arxiv.org/abs/2206.10589): pooled, then normalised.

    Args:
        widths: Channels of each stage.
        stages: The blocks of each stage: `{"kernel": 3}` for a convolution, `{"part": 48, "convolutions": 1,
            "heads": 8, "places": true}` for attention.
    """

    def __init__(
        self,
        widths: Sequence[int] = (24, 48),
        stages: Sequence[Sequence[Mapping[str, int]]] = (
            ({"kernel": 3},),
            ({"part": 24, "convolutions": 1, "heads": 4, "places": 1},),
        ),
    ) -> None:
        super().__init__()
        self.downsample_layers = downsampling(widths)
        self.stages = nn.ModuleList(
            [
                nn.Sequential(*(_block(width, block) for block in blocks))
                for width, blocks in zip(widths, stages, strict=True)
            ]
        )
        self.norm = nn.LayerNorm(widths[-1], eps=_EPS)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the kind and the sizes of each block.

        Args:
            tensors: The file's tensors by the names of EdgeNeXt's own code.

        Returns:
            The options; None where the tensors are no EdgeNeXt's.
        """
        count = count_of(tensors, r"stages\.(\d+)\.0\.norm\.weight", 8)
        widths, stages = [], []
        for stage in range(count):
            width = shape_of(tensors, f"stages.{stage}.0.norm.weight", 1)[0]
            depth = count_of(tensors, rf"stages\.{stage}\.(\d+)\.norm\.weight")
            blocks = [_described(tensors, f"stages.{stage}.{block}.", width) for block in range(depth)]
            if not blocks or None in blocks:
                return None
            widths.append(width)
            stages.append(blocks)
        attends = any(block and "heads" in block for blocks in stages for block in blocks)
        return Structure({"widths": widths, "stages": stages}) if count > 1 and attends else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        maps = images
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            maps = stage(downsample(maps))
        pooled: torch.Tensor = self.norm(maps.mean(dim=(2, 3)))
        return pooled


def _block(width: int, block: Mapping[str, int]) -> nn.Module:
    if "kernel" in block:
        return ConvNeXtBlock(width, block["kernel"])
    return SplitAttentionBlock(
        width, block["part"], block["convolutions"], block["heads"], places=bool(block["places"])
    )


def _described(tensors: Mapping[str, torch.Tensor], prefix: str, width: int) -> dict[str, int] | None:
    convolved, _, kernel, _ = shape_of(tensors, prefix + "dwconv.weight", 4)
    if convolved:
        return {"kernel": kernel} if convolved == width and kernel % 2 else None
    convolutions = count_of(tensors, re.escape(prefix) + r"convs\.(\d+)\.weight", 16)
    part = shape_of(tensors, prefix + "convs.0.weight", 4)[0]
    heads = shape_of(tensors, prefix + "xca.temperature", 3)[0]
    if not (0 < part < width and convolutions and part * convolutions < width <= part * (convolutions + 1)):
        return None
    if heads == 0 or width % heads:
        return None
    places = prefix + "pos_embd.token_projection.weight" in tensors
    return {"part": part, "convolutions": convolutions, "heads": heads, "places": int(places)}
