"""HA-CNN: harmonious attention, with a branch for four regions that it finds itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.cnn.convblock import ConvBlock, Streams
from sysu30k_bench.models.networks.cnn.reading import Tensors, demand, embedding_layers, none_where_unfit, shape_of

_REGIONS = 4
_SHRINK = (1.0, 0.25)
"""Width and height of a region, as parts of the map's."""
_REGION_SIZES = ((24, 28), (12, 14), (6, 7))
"""To which a region is resized at each level, for images of 160 x 64."""


def _inception_a(width: int, out: int) -> Streams:
    part = out // 4

    def stream() -> nn.Sequential:
        return nn.Sequential(ConvBlock(width, part), ConvBlock(part, part, 3))

    pooled = nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), ConvBlock(width, part))
    return Streams(stream(), stream(), stream(), pooled)


def _inception_b(width: int, out: int) -> Streams:
    part = out // 4
    return Streams(
        nn.Sequential(ConvBlock(width, part), ConvBlock(part, part, 3, stride=2)),
        nn.Sequential(ConvBlock(width, part), ConvBlock(part, part, 3), ConvBlock(part, part, 3, stride=2)),
        nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), ConvBlock(width, 2 * part)),
    )


class SpatialAttention(nn.Module):
    """A weight for each place, from the mean of all channels (section 3.1, soft spatial attention)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvBlock(1, 1, 3, stride=2)
        self.conv2 = ConvBlock(1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, h, w) to (N, 1, h, w) for even h and w."""
        weights = self.conv1(features.mean(dim=1, keepdim=True))
        weights = nn.functional.interpolate(weights, scale_factor=2, mode="bilinear", align_corners=True)
        scaled: torch.Tensor = self.conv2(weights)
        return scaled


class ChannelAttention(nn.Module):
    """A weight for each channel, from its spatial mean (section 3.1, soft channel attention)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = ConvBlock(width, hidden)
        self.conv2 = ConvBlock(hidden, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, width, 1, 1)."""
        weights: torch.Tensor = self.conv2(self.conv1(features.mean(dim=(2, 3), keepdim=True)))
        return weights


class SoftAttention(nn.Module):
    """The product of spatial and channel attention, mixed and squashed."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.spatial_attn = SpatialAttention()
        self.channel_attn = ChannelAttention(width, hidden)
        self.conv = ConvBlock(width, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to weights in [0, 1] of the same shape."""
        return torch.sigmoid(self.conv(self.spatial_attn(features) * self.channel_attn(features)))


class HardAttention(nn.Module):
    """The centre of each region (section 3.1, hard regional attention)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, 2 * _REGIONS)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (N, width, h, w) to (N, 4, 2), x and y between -1 and 1."""
        return torch.tanh(self.fc(features.mean(dim=(2, 3)))).view(-1, _REGIONS, 2)


class Attention(nn.Module):
    """Both attentions of one level."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.soft_attn = SoftAttention(width, hidden)
        self.hard_attn = HardAttention(width)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (N, width, h, w) to the same map weighted, and the regions' centres (N, 4, 2)."""
        return features * self.soft_attn(features), self.hard_attn(features)


class HACNN(nn.Module):
    """The global feature and, where the file has it, that of four regions, each of unit length.

    Li et al., Harmonious Attention Network for Person Re-Identification (CVPR 2018); code:
    KaiyangZhou/deep-person-reid, `torchreid/models/hacnn.py`. Regions are cut out with `align_corners=False`, torch's
    default since 1.3.

    Args:
        widths: Channels of the stem and of each level.
        hidden: Channels within each level's channel attention.
        embedding: Widths of the fully connected layers.
        regions: Has the branch of the regions.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 128, 256, 384),
        hidden: Sequence[int] = (8, 16, 24),
        embedding: Sequence[int] = (512,),
        regions: bool = True,
    ) -> None:
        super().__init__()
        self.regions = regions
        self.conv = ConvBlock(3, widths[0], 3, stride=2)
        for level in range(1, 4):
            before, width = widths[level - 1], widths[level]
            inception = nn.Sequential(_inception_a(before, width), _inception_b(width, width))
            self.add_module(f"inception{level}", inception)
            self.add_module(f"ha{level}", Attention(width, hidden[level - 1]))
            if regions:
                self.add_module(f"local_conv{level}", _inception_b(before, width))
        self.fc_global = embedding_layers(widths[3], list(embedding))
        if regions:
            self.fc_local = embedding_layers(_REGIONS * widths[3], list(embedding))

    @staticmethod
    @none_where_unfit
    def structure(tensors: Tensors) -> Structure:
        """Reads the network's options off a file's tensors."""
        widths, hidden = [shape_of(tensors, "conv.conv.weight", 4)[0]], []
        for level in range(1, 4):
            narrow, width, *_ = shape_of(tensors, f"ha{level}.soft_attn.channel_attn.conv1.conv.weight", 4)
            widths.append(width)
            hidden.append(narrow)
        demand(all(width % 4 == 0 for width in widths))
        embedding = [shape_of(tensors, "fc_global.0.weight", 2)[0]]
        regions = "fc_local.0.weight" in tensors
        return Structure({"widths": widths, "hidden": hidden, "embedding": embedding, "regions": regions})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, 160, 64) to (N, D)."""
        whole = self.conv(images)
        locals_: list[torch.Tensor] = []
        for level, size in enumerate(_REGION_SIZES, start=1):
            features = self.get_submodule(f"inception{level}")(whole)
            weighted, centres = self.get_submodule(f"ha{level}")(features)
            if self.regions:
                cut = [_region(whole, centre, size) for centre in centres.unbind(1)]
                joined = [part + local for part, local in zip(cut, locals_, strict=True)] if locals_ else cut
                locals_ = [self.get_submodule(f"local_conv{level}")(part) for part in joined]
            whole = weighted
        embedded: torch.Tensor = self.fc_global(whole.mean(dim=(2, 3)))
        if not self.regions:
            return embedded
        local = self.fc_local(torch.cat([part.mean(dim=(2, 3)) for part in locals_], dim=1))
        return torch.cat([nn.functional.normalize(embedded), nn.functional.normalize(local)], dim=1)


def _region(features: torch.Tensor, centre: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Cuts the region about (N, 2) centres out of (N, C, h, w) and resizes it."""
    theta = features.new_zeros(len(features), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = _SHRINK
    theta[:, :, 2] = centre
    grid = nn.functional.affine_grid(theta, list(features.shape), align_corners=False)
    cut = nn.functional.grid_sample(features, grid, align_corners=False)
    return nn.functional.interpolate(cut, size, mode="bilinear", align_corners=True)
