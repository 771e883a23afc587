"""MobileNet V2 and V3 as fast-reid cuts them: their convolutions, and one more to the feature's width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torchvision import models

_LARGE_LAYERS, _SMALL_LAYERS = 17, 13
_SETTING = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))


class MobileNetV3(nn.Module):
    """torchvision's MobileNetV3 with an epsilon of 1e-5 in its norms, and a 1 x 1 convolution with ReLU6 after it.

    Args:
        size: `large` or `small`.
        last: Channels of the last convolution.
    """

    def __init__(self, size: str = "large", last: int = 1280) -> None:
        super().__init__()
        whole = models.get_model(f"mobilenet_v3_{size}", weights=None, norm_layer=nn.BatchNorm2d)
        self.features: nn.Sequential = whole.features
        entered = self.features[-1][0].out_channels
        self.conv = nn.Sequential(nn.Conv2d(entered, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU6())
        self.width = last

    @staticmethod
    def options(tensors: Mapping[str, torch.Tensor]) -> dict[str, object] | None:
        """Reads the options off tensors by these names; None where they are another network's."""
        if "features.1.block.0.0.weight" not in tensors or "conv.0.weight" not in tensors:
            return None
        layers = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("features."))
        size = {_LARGE_LAYERS: "large", _SMALL_LAYERS: "small"}.get(layers)
        return None if size is None else {"size": size, "last": int(tensors["conv.0.weight"].shape[0])}

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, last, H / 32, W / 32)."""
        maps: torch.Tensor = self.conv(self.features(images))
        return maps


class InvertedResidual(nn.Module):
    """A widening, a depthwise and a narrowing convolution (Sandler et al., CVPR 2018, figure 4d), `conv.0` to `conv.7`.

    Args:
        features: Channels that come in.
        width: Channels between.
        out: Channels that go out.
        stride: Of the depthwise convolution.
    """

    def __init__(self, features: int, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1 and features == out
        widen: list[nn.Module] = []
        if width != features:
            widen = [nn.Conv2d(features, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU6()]
        self.conv = nn.Sequential(
            *widen,
            nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU6(),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, features, H, W) to (N, out, H / stride, W / stride)."""
        mapped: torch.Tensor = self.conv(maps)
        return maps + mapped if self.residual else mapped


class MobileNetV2(nn.Module):
    """MobileNet V2 without its classifier.

    Args:
        stem: Channels of the first convolution.
        outputs: Channels of the seven groups of blocks.
        last: Channels of the last convolution.
    """

    def __init__(
        self, stem: int = 32, outputs: Sequence[int] = (16, 24, 32, 64, 96, 160, 320), last: int = 1280
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, stem, 3, 2)]
        entered = stem
        for group, ((_, count, stride), out) in enumerate(zip(_SETTING, outputs, strict=True)):
            for number in range(count):
                layers.append(InvertedResidual(entered, entered * (6 if group else 1), out, 1 if number else stride))
                entered = out
        self.features = nn.Sequential(*layers)
        self.conv = _convolution(entered, last, 1, 1)
        self.width = last

    @staticmethod
    def options(tensors: Mapping[str, torch.Tensor]) -> dict[str, object] | None:
        """Reads the options off tensors by these names; None where they are another network's."""
        if "features.1.conv.3.weight" not in tensors or "conv.0.weight" not in tensors:
            return None
        outputs, number = [], 1
        for group, (_, count, _) in enumerate(_SETTING):
            outputs.append(int(tensors[f"features.{number}.conv.{6 if group else 3}.weight"].shape[0]))
            number += count
        stem, last = (int(tensors[name].shape[0]) for name in ("features.0.0.weight", "conv.0.weight"))
        return {"stem": stem, "outputs": outputs, "last": last}

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, last, H / 32, W / 32)."""
        maps: torch.Tensor = self.conv(self.features(images))
        return maps


def _convolution(features: int, out: int, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(features, out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU6())
