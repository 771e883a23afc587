"""ResNet with relation-aware global attention after each stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.branches.attention_relation import RelationAttention
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_ASPECTS = (2, 3, 1)
_OUTPUTS = (256, 512, 1024, 2048)
_MOST_POSITIONS = 1 << 14


class RGANet(ResNetTrunk):
    """Relation-aware global attention behind each of the four stages (Zhang et al., CVPR 2020, section 4.1).

    Tensors have the names of `ResNetTrunk`, and `rga_att1` to `rga_att4`. The attention has a weight for each position,
    so that a network takes images of one size alone.

    Args:
        height: Of the images.
        width: Of the images.
        spatial: Attention over positions (RGA-S).
        channel: Attention over channels (RGA-C).
        ratio: Reduction of the embeddings.
        down: Reduction before the weights.
        last_stride: Of the last stage.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(
        self,
        height: int = 256,
        width: int = 128,
        *,
        spatial: bool = True,
        channel: bool = True,
        ratio: int = 8,
        down: int = 8,
        last_stride: int = 1,
        **trunk: Any,  # noqa: ANN401  JSON values, checked by the trunk
    ) -> None:
        super().__init__(last_stride=last_stride, **trunk)
        for stage, channels in enumerate(trunk.get("outputs", _OUTPUTS), start=1):
            scale = 4 * 2 ** min(stage - 1, 2)
            positions = (height // scale) * (width // scale)
            self.add_module(
                f"rga_att{stage}",
                RelationAttention(channels, positions, spatial=spatial, channel=channel, ratio=ratio, down=down),
            )

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk, the kinds of attention, their reductions, and the image size off the number of positions."""
        found = ResNetTrunk.structure(tensors)
        try:
            attention = _attention({name: tuple(tensor.shape) for name, tensor in tensors.items()})
        except (KeyError, IndexError, ZeroDivisionError, ValueError):
            return None
        if found is None or attention is None or found.options["block"] != "bottleneck":
            return None
        size = {"height": attention["height"], "width": attention["width"]}
        return Structure(options={**found.options, **attention}, input={**found.input, **size}, notes=found.notes)

    def stage(self, number: int, maps: torch.Tensor) -> torch.Tensor:
        """Runs one stage, counted from 1, and the attention behind it."""
        weighed: torch.Tensor = self.get_submodule(f"rga_att{number}")(super().stage(number, maps))
        return weighed


def _attention(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, object] | None:
    spatial, channel = ("rga_att1.gx_spatial.0.weight" in shapes, "rga_att1.gx_channel.0.weight" in shapes)
    if spatial:
        few, channels = shapes["rga_att1.gx_spatial.0.weight"][:2]
        fewer, positions = shapes["rga_att1.gg_spatial.0.weight"][0], shapes["rga_att1.gg_spatial.0.weight"][1] // 2
    else:
        fewer, positions = shapes["rga_att1.gx_channel.0.weight"][:2]
        few, channels = shapes["rga_att1.gg_channel.0.weight"][0], shapes["rga_att1.gg_channel.0.weight"][1] // 2
    size = _image_size(positions)
    kind = "spatial" if spatial else "channel"
    reduced = [shapes[f"rga_att{stage}.W_{kind}.0.weight"][:2] for stage in range(1, 5)]
    downs = [down for down in range(1, 65) if all(wide // down == narrow for narrow, wide in reduced)]
    if size is None or not downs or channels % few:
        return None
    ratio = channels // few
    if positions // ratio != fewer:
        return None
    return {
        "height": size[0],
        "width": size[1],
        "spatial": spatial,
        "channel": channel,
        "ratio": ratio,
        "down": 8 if 8 in downs else downs[0],
    }


def _image_size(positions: int) -> tuple[int, int] | None:
    """Returns the height and width of images of which a quarter in each direction has so many positions."""
    for aspect in _ASPECTS:
        width = math.isqrt(positions // aspect) if 0 < positions <= _MOST_POSITIONS else 0
        if width and aspect * width * width == positions:
            return 4 * aspect * width, 4 * width
    return None
