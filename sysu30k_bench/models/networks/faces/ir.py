"""The IR and IR-SE backbones of AdaFace (mk-minchul/AdaFace, net.py) and of face.evoLVe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.faces.shapes import count_of, shape_of

STEP = 16
"""Pixels from one place of the last map to the next."""


class Squeeze(nn.Module):
    """Weights channels by what two layers make of their means (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        weights = self.fc2(F.relu(self.fc1(maps.mean(dim=(2, 3), keepdim=True))))
        return maps * torch.sigmoid(weights)


class Unit(nn.Module):
    """Batch norm and two convolutions; the identity is subsampled, or a convolution where the width changes.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: Of the second convolution.
        normed: Whether a batch norm stands behind the first convolution, too (AdaFace).
        squeeze: Width within a squeeze block at the end; 0 for none.
        named: Whether that block is called `se_block` (AdaFace) and not by its number.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, normed: bool, squeeze: int, named: bool) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut_layer: nn.Module | None = None
        if inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut_layer = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        parts: list[nn.Module] = [nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
        parts += [nn.BatchNorm2d(outputs)] if normed else []
        parts += [nn.PReLU(outputs), nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)]
        self.res_layer = nn.Sequential(*parts, nn.BatchNorm2d(outputs))
        if squeeze:
            name = "se_block" if named else str(len(self.res_layer))
            self.res_layer.add_module(name, Squeeze(outputs, squeeze))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, outputs, H / stride, W / stride)."""
        beside = (
            maps[:, :, :: self.stride, :: self.stride] if self.shortcut_layer is None else self.shortcut_layer(maps)
        )
        result: torch.Tensor = self.res_layer(maps) + beside
        return result


class FaceBackbone(nn.Module):
    """The network before its output is brought to unit length.

    Args:
        layers: Units of the four stages.
        widths: Channels after the stem and of the four stages.
        normed: Whether units have a batch norm in the middle.
        reduction: Of the squeeze blocks; 0 for none.
        named: Whether squeeze blocks are called `se_block`.
        side: Of the last map.
        output: Width of the embedding.
        affine: Whether the last batch norm has weights.
    """

    def __init__(
        self, layers: Sequence[int] = (3, 4, 14, 3), widths: Sequence[int] = (64, 64, 128, 256, 512),
        normed: bool = True, reduction: int = 0, named: bool = True, side: int = 7, output: int = 512,
        affine: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        units = []
        for stage, blocks in enumerate(layers, start=1):
            for number in range(blocks):
                first, width = widths[stage - 1 if number == 0 else stage], widths[stage]
                squeeze = width // reduction if reduction else 0
                units.append(Unit(first, width, 1 if number else 2, normed=normed, squeeze=squeeze, named=named))
        self.body = nn.Sequential(*units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(widths[-1]), nn.Identity(), nn.Flatten(), nn.Linear(widths[-1] * side * side, output),
            nn.BatchNorm1d(output, affine=affine),
        )  # fmt: skip

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads widths and depths off the first convolution of each unit, and the form off the numbers within."""
        stem, linear = shape_of(tensors, "input_layer.0.weight", 4), shape_of(tensors, "output_layer.3.weight", 2)
        depth = count_of(tensors, "body.", ".res_layer.1.weight")
        shapes = [shape_of(tensors, f"body.{number}.res_layer.1.weight", 4) for number in range(min(depth, 400))]
        if stem is None or linear is None or not shapes or depth > 400 or None in shapes:
            return None
        outputs = [shape[0] for shape in shapes if shape is not None]
        stages = sorted(set(outputs))
        if len(stages) != 4 or outputs != sorted(outputs) or linear[1] % stages[-1]:
            return None
        side = math.isqrt(linear[1] // stages[-1])
        if side * side * stages[-1] != linear[1]:
            return None
        normed = "body.0.res_layer.2.running_mean" in tensors
        named = "body.0.res_layer.se_block.fc1.weight" in tensors
        squeeze = shape_of(tensors, f"body.0.res_layer.{'se_block' if named else 6 if normed else 5}.fc1.weight", 4)
        options: dict[str, object] = {
            "layers": [outputs.count(width) for width in stages], "widths": [stem[0], *stages], "normed": normed,
            "reduction": outputs[0] // squeeze[0] if squeeze else 0, "named": named, "side": side,
            "output": linear[0], "affine": "output_layer.4.weight" in tensors,
        }  # fmt: skip
        return Structure(options, {"height": side * STEP, "width": side * STEP})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to the embedding, (N, output)."""
        result: torch.Tensor = self.output_layer(self.body(self.input_layer(images)))
        return result
