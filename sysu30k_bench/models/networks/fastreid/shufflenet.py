"""ShuffleNet V2 in the names of its authors' code (megvii-model/ShuffleNet-Series), as fast-reid has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn


class ShuffleBlock(nn.Module):
    """Two branches, joined (Ma et al., ShuffleNet V2, ECCV 2018, figure 3c and d).

    Args:
        features: Channels that enter the branches: half of the map's where `stride` is 1.
        width: Channels within the main branch.
        out: Channels that go out.
        stride: 1 or 2.
    """

    def __init__(self, features: int, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.branch_main = nn.Sequential(
            nn.Conv2d(features, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False), nn.BatchNorm2d(width),
            nn.Conv2d(width, out - features, 1, bias=False), nn.BatchNorm2d(out - features), nn.ReLU(),
        )  # fmt: skip
        if stride == 2:
            self.branch_proj = nn.Sequential(
                nn.Conv2d(features, features, 3, stride, 1, groups=features, bias=False), nn.BatchNorm2d(features),
                nn.Conv2d(features, features, 1, bias=False), nn.BatchNorm2d(features), nn.ReLU(),
            )  # fmt: skip

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, out, H / stride, W / stride)."""
        if hasattr(self, "branch_proj"):
            return torch.cat((self.branch_proj(maps), self.branch_main(maps)), dim=1)
        kept, changed = maps[:, 0::2], maps[:, 1::2]
        return torch.cat((kept, self.branch_main(changed)), dim=1)


class ShuffleNet(nn.Module):
    """The convolutions of ShuffleNet V2.

    Args:
        stem: Channels of the first convolution.
        blocks: How many in each stage.
        outputs: Channels of each stage.
        last: Channels of the last convolution.
    """

    def __init__(
        self,
        stem: int = 24,
        blocks: Sequence[int] = (4, 8, 4),
        outputs: Sequence[int] = (116, 232, 464),
        last: int = 1024,
    ) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        layers: list[nn.Module] = []
        entered = stem
        for count, out in zip(blocks, outputs, strict=True):
            layers.append(ShuffleBlock(entered, out // 2, out, 2))
            layers += [ShuffleBlock(out // 2, out // 2, out, 1) for _ in range(count - 1)]
            entered = out
        self.features = nn.Sequential(*layers)
        self.conv_last = nn.Sequential(nn.Conv2d(entered, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU())
        self.width = last

    @staticmethod
    def options(tensors: Mapping[str, torch.Tensor]) -> dict[str, object] | None:
        """Reads the options off tensors by these names; None where they are another network's."""
        if "first_conv.0.weight" not in tensors or "conv_last.0.weight" not in tensors:
            return None
        blocks: list[int] = []
        outputs: list[int] = []
        number = 0
        while f"features.{number}.branch_main.0.weight" in tensors:
            if f"features.{number}.branch_proj.0.weight" in tensors:
                blocks.append(0)
                outputs.append(2 * int(tensors[f"features.{number}.branch_main.0.weight"].shape[0]))
            blocks[-1] += 1
            number += 1
        return {
            "stem": int(tensors["first_conv.0.weight"].shape[0]),
            "blocks": blocks,
            "outputs": outputs,
            "last": int(tensors["conv_last.0.weight"].shape[0]),
        }

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, last, H / 32, W / 32)."""
        maps: torch.Tensor = self.conv_last(self.features(self.maxpool(self.first_conv(images))))
        return maps
