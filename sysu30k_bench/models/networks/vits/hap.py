"""HAP's fine-tuned transformer with the locality-enhanced module."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from timm.models.resnet import Bottleneck, downsample_conv
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.vits.reading import read_structure
from sysu30k_bench.models.networks.vits.vit import VisionTransformer


class HapLem(VisionTransformer):
    """A vision transformer whose patches also go through three ResNet blocks (junkunyuan/HAP, models_lem.py).

    The feature joins the class token and the blocks' normalised pooled map, both before the batch normalisations that
    stand before the classifiers (Yuan et al., HAP: Structure-Aware Masked Image Modeling, NeurIPS 2023).

    Args:
        options: Of the `VisionTransformer`.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        dim = self.dim
        self.conv_head = nn.Sequential(
            Bottleneck(dim, dim // 2, stride=2, downsample=downsample_conv(dim, 2 * dim, kernel_size=1, stride=2)),
            Bottleneck(2 * dim, dim // 2),
            Bottleneck(2 * dim, dim // 2),
        )
        self.conv_fc_norm = nn.LayerNorm(2 * dim, eps=1e-6)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        found = read_structure(tensors, person_first=True)
        fits = found is not None and "grid" in found.options and "conv_head.2.conv3.weight" in tensors
        return found if fits else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds a batch.

        Args:
            images: Normalised, (N, 3, H, W).

        Returns:
            (N, 3 D): token or mean of patches, then the pooled map of 2 D channels.
        """
        maps = self.patch_embed(images)
        rows, columns = maps.shape[2:]
        tokens, _ = self.embedded(images)
        tokens = self.through(tokens)
        patches = tokens[:, self.leading :].transpose(1, 2).reshape(len(images), self.dim, rows, columns)
        local = self.conv_fc_norm(self.conv_head(patches).mean(dim=(2, 3)))
        return torch.cat((self.pooled(self.norm(tokens)), local), dim=1)
