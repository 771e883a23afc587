"""Part-based networks: a residual network whose last map is pooled in horizontal stripes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_MOST_PARTS = 32
_HEADS = (
    re.compile(r"classifier(\d+)\.(?:add_block|classifier)\..+"),
    re.compile(r"classifier\.(\d+)\.(?:weight|bias)"),
    re.compile(r"instance(\d+)\.(?:weight|bias)"),
    re.compile(r"local\.(\d+)\..+"),
)


class PCB(ResNetTrunk):
    """A feature for each stripe (Sun et al., Beyond Part Models, ECCV 2018, section 3).

    The trunk's tensors have the names of `ResNetTrunk`. `local.0.0`, `local.0.1` ... are a convolution and a batch
    norm for each stripe, where the project's test feature is behind them, and `mask` is the part classifier of refined
    part pooling (section 4), which assigns each place to the parts softly.

    Args:
        parts: Stripes P.
        unit: Whether each stripe's vector is brought to unit length.
        interleaved: Whether the feature runs channel by channel (C x P), not part by part (P x C).
        local: Channels of a convolution with norm and ReLU for each stripe; 0 for none.
        mask: Channels that the part classifier of refined part pooling sees; 0 for stripes.
        temperature: Factor of its logits.
        last_stride: Of the last stage; 1 in the paper.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(
        self,
        parts: int = 6,
        *,
        unit: bool = False,
        interleaved: bool = False,
        local: int = 0,
        mask: int = 0,
        temperature: float = 1.0,
        last_stride: int = 1,
        **trunk: Any,  # noqa: ANN401  JSON values, checked by the trunk
    ) -> None:
        super().__init__(last_stride=last_stride, **trunk)
        self.parts, self.unit, self.interleaved, self.temperature = parts, unit, interleaved, temperature
        if local:
            self.local = nn.ModuleList(
                nn.Sequential(nn.Conv2d(self.features, local, 1), nn.BatchNorm2d(local), nn.ReLU())
                for _ in range(parts)
            )
        if mask:
            self.mask = nn.Conv2d(mask, parts, 1)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk, and the number of stripes off their layers or classifiers."""
        found = ResNetTrunk.structure(tensors)
        parts = _count_parts(tensors)
        if found is None or found.options.get("neck") or not 2 <= parts <= _MOST_PARTS:
            return None
        options: dict[str, object] = {**found.options, "parts": parts}
        for name, axis in (("local.0.0.weight", 0), ("mask.weight", 1)):
            shape = tuple(tensors[name].shape) if name in tensors else ()
            if shape and len(shape) != 4:
                return None
            options[name.partition(".")[0]] = shape[axis] if shape else 0
        return Structure(options=options, input=found.input, notes=found.notes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to (N, P * C)."""
        maps = self.maps(images)
        refined = hasattr(self, "mask")
        pooled = self._refined(maps) if refined else nn.functional.adaptive_avg_pool2d(maps, (self.parts, 1))
        if hasattr(self, "local"):
            stripes = zip(self.local, pooled.chunk(self.parts, dim=2), strict=True)
            pooled = torch.cat([layers(stripe) for layers, stripe in stripes], dim=2)
        features = pooled.squeeze(3)
        if self.unit:
            features = nn.functional.normalize(features, dim=1)
        return features.flatten(1) if self.interleaved else features.transpose(1, 2).flatten(1)

    def _refined(self, maps: torch.Tensor) -> torch.Tensor:
        """Pools maps (N, C, h, w) to (N, C, P, 1), each place weighed by its share in a part."""
        groups = maps.shape[1] // self.mask.in_channels
        fewer = maps.reshape(len(maps), -1, groups, *maps.shape[2:]).mean(dim=2)
        shares = (self.temperature * self.mask(fewer - fewer.mean(dim=(2, 3), keepdim=True))).softmax(dim=1)
        places = maps.shape[2] * maps.shape[3]
        return self.parts / places * torch.einsum("nchw,nphw->ncp", maps, shares).unsqueeze(3)


def _count_parts(tensors: Mapping[str, torch.Tensor]) -> int:
    """Counts numbered heads; 0 where they do not run from 0 on."""
    for pattern in _HEADS:
        numbers = {int(found[1]) for name in tensors if (found := pattern.fullmatch(name)) and len(found[1]) < 3}
        if numbers:
            return len(numbers) if numbers == set(range(len(numbers))) else 0
    return 0
