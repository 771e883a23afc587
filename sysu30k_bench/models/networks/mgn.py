"""The Multiple Granularity Network (Wang et al., ACM MM 2018, figure 3) in the forms that public code gives it."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import nn
from torchvision import models

from sysu30k_bench.models.networks.resnet import set_stride

Pool = Literal["avg", "max", "gem"]
STRIPES = (1, 2, 3)
FEATURES = 8
_WIDTH = 256


class GeneralisedMean(nn.Module):
    """Pools a map to the p-th root of its mean p-th power (Radenovic et al., TPAMI 2019); p is learnt.

    Args:
        p: Its first value.
    """

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), p))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, 1, 1)."""
        return maps.clamp_min(1e-6).pow(self.p).mean(dim=(2, 3), keepdim=True).pow(1 / self.p)


class InstanceBatchNorm(nn.Module):
    """Instance norm on the first half of the channels and batch norm on the rest (Pan et al., IBN-Net, ECCV 2018).

    Args:
        features: Channels.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.split = features // 2
        self.IN = nn.InstanceNorm2d(self.split, affine=True)
        self.BN = nn.BatchNorm2d(features - self.split)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalises maps (N, C, H, W)."""
        return torch.cat([self.IN(maps[:, : self.split]), self.BN(maps[:, self.split :])], dim=1)


class MGN(nn.Module):
    """A shared trunk and three branches, read out as one, two and three stripes and their wholes: eight features.

    Tensors are named as in MGN-pytorch: `backbone`, `p1`, `p2`, `p3`, `reduction_0` to `reduction_7`; the order of the
    features is whole of each branch, halves of the second, thirds of the third.

    Args:
        pool: How a stripe becomes a vector; `gem` has a parameter for each of the eight.
        shared_reduction: One reduction for all eight features, named `reduction`.
        relu: Whether a ReLU ends a reduction.
        ibn: Instance and batch norm in the first three stages.
        global_stride: Stride of the first branch's last stage.
    """

    def __init__(
        self,
        pool: Pool = "avg",
        *,
        shared_reduction: bool = False,
        relu: bool = True,
        ibn: bool = False,
        global_stride: int = 2,
    ) -> None:
        super().__init__()
        resnet = models.resnet50(weights=None)
        if ibn:
            for stage in (resnet.layer1, resnet.layer2, resnet.layer3):
                for block in stage:
                    block.bn1 = InstanceBatchNorm(block.bn1.num_features)
        self.backbone = nn.Sequential(
            resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool, resnet.layer1, resnet.layer2, resnet.layer3[0]
        )
        for number, stride in enumerate((global_stride, 1, 1), start=1):
            branch = nn.Sequential(nn.Sequential(*resnet.layer3[1:]), resnet.layer4)
            branch = copy.deepcopy(branch)
            set_stride(branch[1], stride)
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


def _pool(kind: str) -> nn.Module:
    if kind == "gem":
        return GeneralisedMean()
    if kind in {"avg", "max"}:
        return nn.AdaptiveAvgPool2d(1) if kind == "avg" else nn.AdaptiveMaxPool2d(1)
    raise ValueError(f"pool is avg, max or gem, not {kind!r}")


def _reduction(*, relu: bool) -> nn.Sequential:
    layers = [nn.Conv2d(2048, _WIDTH, 1, bias=False), nn.BatchNorm2d(_WIDTH)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)
