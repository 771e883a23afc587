"""FastViT of any depth and width, by the names of its own code, with the branches that it is trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.fastvit_layers import (
    AttentionBlock,
    Branches,
    Halving,
    MixerBlock,
    Places,
)
from sysu30k_bench.models.networks.hierarchical.shapes import count_of, shape_of


class FastViT(nn.Module):
    """FastViT (https://arxiv.org/abs/2303.14189, figure 2): the mean of the last map.

    Args:
        width: Channels of the stem.
        parts: What follows it in order: `{"depth", "width", "hidden", "kernel"}` for blocks of convolutional mixing,
            the same with kernel 0 for blocks of attention, `{"before", "after", "kernel"}` for a halving,
            `{"width", "kernel"}` for a position encoding.
        feature: Channels of the last convolution.
        squeezed: Channels of its squeeze and excitation.
    """

    def __init__(
        self,
        width: int = 64,
        parts: Sequence[Mapping[str, int]] = ({"depth": 1, "width": 64, "hidden": 256, "kernel": 3},),
        feature: int = 128,
        squeezed: int = 8,
    ) -> None:
        super().__init__()
        stem = [Branches(3, width, 3, 2), Branches(width, width, 3, 2, width), Branches(width, width, 1)]
        self.patch_embed = nn.Sequential(*stem)
        self.network = nn.Sequential(*(_part(part) for part in parts))
        last = next(part["width"] for part in reversed(parts) if "depth" in part)
        self.conv_exp = Branches(last, feature, 3, groups=last, squeezed=squeezed)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the kind and the sizes of each part.

        Args:
            tensors: The file's tensors by the names of FastViT's own code.

        Returns:
            The options; None where the tensors are no FastViT's, or one whose branches were merged.
        """
        stem = shape_of(tensors, "patch_embed.0.rbr_conv.0.conv.weight", 4)
        count = count_of(tensors, r"network\.(\d+)\..*", 64)
        parts = [_described(tensors, f"network.{index}.") for index in range(count)]
        feature = shape_of(tensors, "conv_exp.rbr_conv.0.conv.weight", 4)[0]
        squeezed = shape_of(tensors, "conv_exp.se.reduce.weight", 4)[0]
        known = [part for part in parts if part is not None]
        if stem[1:] != (3, 3, 3) or not feature or not squeezed or len(known) != len(parts):
            return None
        if not any("depth" in part for part in known):
            return None
        return Structure({"width": stem[0], "parts": known, "feature": feature, "squeezed": squeezed})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        pooled: torch.Tensor = self.conv_exp(self.network(self.patch_embed(images))).mean(dim=(2, 3))
        return pooled


def _part(part: Mapping[str, int]) -> nn.Module:
    if "before" in part:
        return Halving(part["before"], part["after"], part["kernel"])
    if "depth" not in part:
        return Places(part["width"], part["kernel"])
    width, hidden, kernel = part["width"], part["hidden"], part["kernel"]
    depth = range(part["depth"])
    return nn.Sequential(
        *(MixerBlock(width, hidden, kernel) if kernel else AttentionBlock(width, hidden) for _ in depth)
    )


def _described(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, int] | None:
    placed, _, side, _ = shape_of(tensors, prefix + "pe.weight", 4)
    if placed and side % 2:
        return {"width": placed, "kernel": side}
    large, _, side, _ = shape_of(tensors, prefix + "proj.0.lkb_origin.conv.weight", 4)
    if large:  # a depthwise convolution shows its channels out alone: those in are those of the blocks before
        before = shape_of(tensors, _previous(prefix) + "0.convffn.fc2.weight", 4)[0]
        fits = before and large % before == 0 and side % 2
        return {"before": before, "after": large, "kernel": side} if fits else None
    depth = count_of(tensors, prefix.replace(".", r"\.") + r"(\d+)\.convffn\.fc1\.weight")
    hidden, width, _, _ = shape_of(tensors, prefix + "0.convffn.fc1.weight", 4)
    kernel = shape_of(tensors, prefix + "0.token_mixer.mixer.rbr_conv.0.conv.weight", 4)[2]
    attends = shape_of(tensors, prefix + "0.token_mixer.qkv.weight", 2)[1]
    if not depth or not width or (kernel % 2 == 0 and not (attends and width % 32 == 0)):
        return None
    return {"depth": depth, "width": width, "hidden": hidden, "kernel": kernel}


def _previous(prefix: str) -> str:
    name, number, _ = prefix.split(".")
    return f"{name}.{int(number) - 1}."
