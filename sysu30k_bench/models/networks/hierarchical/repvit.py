"""RepViT of any depth and width, with the branches that it is trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.shapes import count_of, shape_of


class _ConvNorm(nn.Module):
    def __init__(self, before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(after)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', h, w)."""
        normalised: torch.Tensor = self.bn(self.c(maps))
        return normalised


class SqueezeExcite(nn.Module):
    """Scales channels by what their means say (https://arxiv.org/abs/1709.01507), with a hard sigmoid.

    Args:
        width: Channels C.
        squeezed: Channels between the two 1 x 1 convolutions.
    """

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(width, squeezed, 1)
        self.conv_expand = nn.Conv2d(squeezed, width, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        means = self.conv_reduce(maps.mean(dim=(2, 3), keepdim=True)).relu()
        return maps * functional.hardsigmoid(self.conv_expand(means))


class _Branches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _ConvNorm(width, width, 3, groups=width)
        self.conv1 = nn.Conv2d(width, width, 1, groups=width)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        normalised: torch.Tensor = self.bn(self.conv(maps) + self.conv1(maps) + maps)
        return normalised


class _ChannelMixer(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.m = nn.Sequential(_ConvNorm(width, hidden), nn.GELU(), _ConvNorm(hidden, width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        mixed: torch.Tensor = maps + self.m(maps)
        return mixed


class _Block(nn.Module):
    def __init__(self, before: int, after: int, hidden: int, squeezed: int, *, halves: bool) -> None:
        super().__init__()
        squeeze = SqueezeExcite(before, squeezed) if squeezed else nn.Identity()
        if halves:
            first = _ConvNorm(before, before, 3, 2, before)
            self.token_mixer = nn.Sequential(first, squeeze, _ConvNorm(before, after))
        else:
            self.token_mixer = nn.Sequential(_Branches(before), squeeze)
        self.channel_mixer = _ChannelMixer(after, hidden)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', h, w)."""
        mixed: torch.Tensor = self.channel_mixer(self.token_mixer(maps))
        return mixed


class RepViT(nn.Module):
    """RepViT (https://arxiv.org/abs/2307.09283, figure 3): the mean of the last map.

    Args:
        stem: Channels after the first convolution.
        width: Channels after the second, where the blocks begin.
        blocks: For each block its channels (`width`), those within its MLP (`hidden`), those of its squeeze
            (`squeezed`, 0 for none), and whether it halves the map (`halves`).
    """

    def __init__(
        self,
        stem: int = 28,
        width: int = 56,
        blocks: Sequence[Mapping[str, int]] = ({"width": 56, "hidden": 112, "squeezed": 16, "halves": 0},),
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Sequential(_ConvNorm(3, stem, 3, 2), nn.GELU(), _ConvNorm(stem, width, 3, 2))]
        for block in blocks:
            after = block["width"]
            layers.append(_Block(width, after, block["hidden"], block["squeezed"], halves=bool(block["halves"])))
            width = after
        self.features = nn.Sequential(*layers)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads each block's sizes.

        Args:
            tensors: The file's tensors by the names of RepViT's own code.

        Returns:
            The options; None where the tensors are no RepViT's.
        """
        stem = shape_of(tensors, "features.0.0.c.weight", 4)
        width = shape_of(tensors, "features.0.2.c.weight", 4)[0]
        count = count_of(tensors, r"features\.(\d+)\.(?:0\.c|channel_mixer\.m\.0\.c)\.weight")
        blocks = []
        for index in range(1, count):
            prefix = f"features.{index}."
            hidden, after, _, _ = shape_of(tensors, prefix + "channel_mixer.m.0.c.weight", 4)
            squeezed = shape_of(tensors, prefix + "token_mixer.1.conv_reduce.weight", 4)[0]
            halves = prefix + "token_mixer.0.c.weight" in tensors
            if hidden == 0:
                return None
            blocks.append({"width": after, "hidden": hidden, "squeezed": squeezed, "halves": int(halves)})
        if not blocks or width == 0 or stem[1:] != (3, 3, 3):
            return None
        return Structure({"stem": stem[0], "width": width, "blocks": blocks})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        pooled: torch.Tensor = self.features(images).mean(dim=(2, 3))
        return pooled
