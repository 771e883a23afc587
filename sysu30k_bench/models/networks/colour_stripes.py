"""Colour histograms of horizontal stripes, as a network: the classical baseline that needs no training.

Stripes of colour histograms are the oldest appearance model of person re-identification (Gray and Tao, ECCV 2008, use
six stripes). Here the histogram is soft, so that the whole is a fixed network whose state dict can be saved and loaded
like any other; the demo evaluates it.
"""

from __future__ import annotations

import torch
from torch import nn

STRIPES = 6
LEVELS = 4


class ColourStripes(nn.Module):
    """Maps images in [0, 1] to square roots of soft colour histograms.

    Args:
        sharpness: Inverse width of a bin's basin.
    """

    centres: torch.Tensor
    columns: torch.Tensor

    def __init__(self, sharpness: float = 60.0) -> None:
        super().__init__()
        level = (torch.arange(LEVELS) + 0.5) / LEVELS
        self.register_buffer("centres", torch.cartesian_prod(level, level, level))
        self.register_buffer("columns", torch.hann_window(34, periodic=False)[1:-1])
        self.sharpness = sharpness

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds a batch.

        Args:
            images: (N, 3, H, W) in [0, 1].

        Returns:
            (N, 384): 64 bins in each of 6 stripes, the middle of the image weighing most.
        """
        small = nn.functional.adaptive_avg_pool2d(images, (8 * STRIPES, 32))
        balanced = small * (0.5 / small.mean(dim=(2, 3), keepdim=True).clamp_min(1e-3))
        pixels = balanced.clamp(0, 1).permute(0, 2, 3, 1)
        # -|pixel - centre|^2 but for |pixel|^2, which the softmax over the centres does not see
        nearness = 2 * pixels @ self.centres.T - self.centres.square().sum(dim=1)
        votes = torch.softmax(self.sharpness * nearness, dim=-1) * self.columns[:, None]
        stripes = votes.reshape(len(votes), STRIPES, 8, *votes.shape[2:]).sum(dim=(2, 3))
        features: torch.Tensor = stripes.sqrt().flatten(1)
        return features
