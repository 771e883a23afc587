"""IICS's ResNet-50 with adaptive instance and batch normalisation (Xuan and Zhang, CVPR 2021, section 3.3)."""

from __future__ import annotations

import torch
from torch import nn

from sysu30k_bench.models.networks.resnet import resnet50


class AdaptiveInstanceBatchNorm(nn.Module):
    """Mixes an image's own statistics with those of training: alpha * batch + (1 - alpha) * instance.

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


def aibn_resnet50() -> nn.Module:
    """Builds the network of the inter-camera stage: last stride 1, adaptive norms in the last two stages.

    The tensor `adaptive_weight` stands under each block and again under each of its norms, as in the authors' files.

    Returns:
        A network that maps (N, 3, H, W) to the pooled features before the neck, (N, 2048).
    """
    network = resnet50(last_stride=1)
    for stage in (network.layer3, network.layer4):
        for block in stage:  # type: ignore[union-attr]
            block.adaptive_weight = nn.Parameter(torch.full((1,), 0.1))
            for name in ("bn1", "bn2", "bn3"):
                setattr(
                    block, name, AdaptiveInstanceBatchNorm(getattr(block, name).num_features, block.adaptive_weight)
                )
            if block.downsample is not None:
                block.downsample[1] = AdaptiveInstanceBatchNorm(block.downsample[1].num_features, block.adaptive_weight)
    return network
