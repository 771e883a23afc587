"""A residual network with adaptive instance and batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.resnets.trunk import ResNetTrunk

_MARK = "adaptive_weight"
_BLOCKS = ("layer3.0", "layer3.1", "layer3.2", "layer3.3", "layer3.4", "layer3.5", "layer4.0", "layer4.1", "layer4.2")


class AdaptiveInstanceBatchNorm(nn.Module):
    """Mixes an image's own statistics with those of training: alpha * batch + (1 - alpha) * instance.

    Xuan and Zhang, Intra-Inter Camera Similarity for Unsupervised Person Re-Identification, CVPR 2021, section 3.3.

    Args:
        features: Channels C.
        adaptive_weight: The parameter alpha, shared by the norms of a block; clamped to [0, 1] when used.
        eps: Added to the variance.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, features: int, adaptive_weight: nn.Parameter, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.adaptive_weight = adaptive_weight
        self.eps = eps
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalises maps (N, C, H, W) as at test time; the instance variance is the unbiased one."""
        alpha = self.adaptive_weight.clamp(0, 1)
        variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True)
        mean = alpha * self.running_mean[:, None, None] + (1 - alpha) * mean
        variance = alpha * self.running_var[:, None, None] + (1 - alpha) * variance
        scale = self.weight[:, None, None] / (variance + self.eps).sqrt()
        return (maps - mean) * scale + self.bias[:, None, None]


class AdaptiveResNet(ResNetTrunk):
    """IICS's network: adaptive norms in the last two stages.

    Tensors have the names of `ResNetTrunk`. The tensor `adaptive_weight` stands under each block that has such norms,
    and again under each of its norms, as in the authors' files.

    Args:
        adaptive: The blocks with adaptive norms.
        last_stride: Of the last stage.
        trunk: Further options of `ResNetTrunk`.
    """

    def __init__(
        self,
        adaptive: Sequence[str] = _BLOCKS,
        *,
        last_stride: int = 1,
        **trunk: Any,  # noqa: ANN401  JSON values, checked by the trunk
    ) -> None:
        super().__init__(last_stride=last_stride, **trunk)
        for path in adaptive:
            block = self.get_submodule(path)
            weight = nn.Parameter(torch.full((1,), 0.1))
            block.register_parameter(_MARK, weight)
            for name, module in list(block.named_modules()):
                if isinstance(module, nn.BatchNorm2d):
                    parent, _, leaf = name.rpartition(".")
                    own = AdaptiveInstanceBatchNorm(module.num_features, weight)
                    block.get_submodule(parent).register_module(leaf, own)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the trunk and the blocks with adaptive norms."""
        plain = {name: tensor for name, tensor in tensors.items() if not name.endswith(f".{_MARK}")}
        found = ResNetTrunk.structure(plain)
        marked = [name.removesuffix(f".{_MARK}") for name in tensors if name.endswith(f".{_MARK}")]
        blocks = [name for name in marked if f"{name}.conv1.weight" in tensors]
        if found is None or not blocks:
            return None
        return Structure(options={**found.options, "adaptive": blocks}, input=found.input)
