"""The Multiple Granularity Network (Wang et al., ACM MM 2018, figure 3) in the forms that public code gives it."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import nn
from torchvision import models

Pool = Literal["avg", "max"]
STRIPES = (1, 2, 3)
FEATURES = 8
_WIDTH = 256


class MGN(nn.Module):
    """A shared trunk and three branches, read out as one, two and three stripes and their wholes: eight features.

    Tensors are named as in MGN-pytorch: `backbone`, `p1`, `p2`, `p3`, `reduction_0` to `reduction_7`; the order of the
    features is whole of each branch, halves of the second, thirds of the third.

    Args:
        pool: How a stripe becomes a vector.
        shared_reduction: One reduction for all eight features, named `reduction`.
        relu: Whether a ReLU ends a reduction.
        global_stride: Stride of the first branch's last stage.
    """

    def __init__(
        self,
        pool: Pool = "avg",
        *,
        shared_reduction: bool = False,
        relu: bool = True,
        global_stride: int = 2,
    ) -> None:
        super().__init__()
        resnet = models.resnet50(weights=None)
        self.backbone = nn.Sequential(
            resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool, resnet.layer1, resnet.layer2, resnet.layer3[0]
        )
        for number, stride in enumerate((global_stride, 1, 1), start=1):
            branch = nn.Sequential(nn.Sequential(*resnet.layer3[1:]), resnet.layer4)
            branch = copy.deepcopy(branch)
            _set_stride(branch[1], stride)
            self.add_module(f"p{number}", branch)
        for number in range(FEATURES):
            self.add_module(f"pool_{number}", _pool(pool))
        if shared_reduction:
            self.reduction = _reduction(relu=relu)
        else:
            for number in range(FEATURES):
                self.add_module(f"reduction_{number}", _reduction(relu=relu))
        self._shared = shared_reduction

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds a batch.

        Args:
            images: (N, 3, H, W), normally 384 x 128.

        Returns:
            (N, 8 * 256).
        """
        return self._read_out(self.backbone(images))

    def _read_out(self, shared: torch.Tensor) -> torch.Tensor:
        maps = [getattr(self, f"p{number}")(shared) for number in STRIPES]
        stripes = [
            stripe for count, branch in zip(STRIPES[1:], maps[1:], strict=True) for stripe in branch.chunk(count, dim=2)
        ]
        return torch.cat([self._reduce(number, part) for number, part in enumerate([*maps, *stripes])], dim=1)

    def _reduce(self, number: int, part: torch.Tensor) -> torch.Tensor:
        pooled = getattr(self, f"pool_{number}")(part)
        reduction = self.reduction if self._shared else getattr(self, f"reduction_{number}")
        reduced: torch.Tensor = reduction(pooled).flatten(1)
        return reduced


def _set_stride(stage: nn.Module, stride: int) -> None:
    for path in ("0.conv2", "0.downsample.0"):
        convolution = stage.get_submodule(path)
        if isinstance(convolution, nn.Conv2d):
            convolution.stride = (stride, stride)


def _pool(kind: str) -> nn.Module:
    if kind in {"avg", "max"}:
        return nn.AdaptiveAvgPool2d(1) if kind == "avg" else nn.AdaptiveMaxPool2d(1)
    raise ValueError(f"pool is avg or max, not {kind!r}")


def _reduction(*, relu: bool) -> nn.Sequential:
    layers = [nn.Conv2d(2048, _WIDTH, 1, bias=False), nn.BatchNorm2d(_WIDTH)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)
