"""The networks of layumi's re-identification baseline that torchvision does not have in this form."""

from __future__ import annotations

import torch
from torch import nn
from torchvision import models

from sysu30k_bench.models.networks.resnet import resnet50

PARTS = 6


class PartBasedResNet50(nn.Module):
    """PCB: six horizontal stripes of ResNet-50's last map, last stride 1 (Sun et al., Beyond Part Models, ECCV 2018).

    The trunk's tensors have torchvision's names. The six classifiers of training are not part of it.
    """

    def __init__(self) -> None:
        super().__init__()
        trunk = resnet50(last_stride=1)
        for name, module in trunk.named_children():
            if name not in {"avgpool", "fc"}:
                self.add_module(name, module)
        self.pool = nn.AdaptiveAvgPool2d((PARTS, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds a batch.

        Args:
            images: (N, 3, H, W), normally 384 x 192.

        Returns:
            (N, 6 * 2048): the mean of each stripe, top first.
        """
        features = images
        for module in self.children():
            features = module(features)
        return features.squeeze(3).transpose(1, 2).flatten(1)


class DenseNet121(nn.Module):
    """DenseNet-121's last normalised map, averaged; unlike torchvision's own, without a ReLU behind the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.features = models.densenet121(weights=None).features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, 1024)."""
        features: torch.Tensor = self.features(images).mean(dim=(2, 3))
        return features
