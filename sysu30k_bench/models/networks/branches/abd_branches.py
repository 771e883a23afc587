"""The branches of ABD-Net behind its last stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sysu30k_bench.models.networks.branches.attention_dual import AttentionHead, attention


def branch_of(
    features: int,
    kind: str = "global",
    width: int = 1024,
    parts: int = 1,
    attentions: Sequence[str] = (),
    *,
    heads: bool = True,
) -> nn.Module:
    """Builds what turns a branch's map into its feature.

    Args:
        features: Channels of the map.
        kind: `global`, `abd`, `stripes` or `dual`.
        width: Channels of the feature, for each part.
        parts: Horizontal stripes, for `abd` and `stripes`.
        attentions: Of `cam` and `pam`, for `abd` and `dual`.
        heads: Whether convolutions stand around each attention.

    Raises:
        ValueError: There is no such branch.
    """
    if kind == "global":
        return GlobalBranch(features, width)
    if kind == "stripes":
        return StripesBranch(features, width, parts)
    if kind == "abd":
        return AttentionBranch(features, width, parts, attentions, heads=heads)
    if kind == "dual":
        return DualBranch(features, width or features, attentions, heads=heads)
    raise ValueError(f"a branch is global, abd, stripes or dual, not {kind!r}")


class GlobalBranch(nn.Module):
    """The mean of the map, embedded.

    Args:
        features: Channels of the map.
        width: Of the feature.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.fc = _embedding(features, width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, width)."""
        feature: torch.Tensor = self.fc(maps.mean(dim=(2, 3)))
        return feature


class StripesBranch(nn.Module):
    """The means of horizontal stripes, each embedded by its own layer.

    Args:
        features: Channels of the map.
        width: Of each stripe's feature.
        parts: Stripes.
    """

    def __init__(self, features: int, width: int, parts: int) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(_embedding(features, width) for _ in range(parts))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, parts * width)."""
        stripes = zip(self.fcs, maps.chunk(len(self.fcs), dim=2), strict=True)
        return torch.cat([layers(stripe.mean(dim=(2, 3))) for layers, stripe in stripes], dim=1)


class AttentionBranch(nn.Module):
    """Stripes of a reduced map to which attentions over channels and positions are added (section 3.1).

    Without an attention the stripes' means are the feature, and the other layers that a file has stand idle.

    Args:
        features: Channels of the map.
        width: Channels after the reduction.
        parts: Stripes.
        attentions: Of `cam` and `pam`.
        heads: Whether convolutions stand around each attention.
    """

    def __init__(self, features: int, width: int, parts: int, attentions: Sequence[str], *, heads: bool) -> None:
        super().__init__()
        self.parts, self.attentions = parts, tuple(attentions)
        self.reduction = nn.Sequential(nn.Conv2d(features, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.before_module = AttentionHead(width) if heads else nn.Identity()
        for kind in attentions:
            self.add_module(f"{kind}_module", AttentionHead(width, kind) if heads else attention(width, kind))
        self.sum_conv = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(width, width, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, parts * width)."""
        features = [self._attend(stripe).mean(dim=(2, 3)) for stripe in self.reduction(maps).chunk(self.parts, dim=2)]
        return torch.cat(features, dim=1)

    def _attend(self, stripe: torch.Tensor) -> torch.Tensor:
        if not self.attentions:
            return stripe
        total = self.before_module(stripe)
        for kind in self.attentions:
            total = total + self.get_submodule(f"{kind}_module")(stripe)
        attended: torch.Tensor = self.sum_conv(total)
        return attended


class DualBranch(nn.Module):
    """The map and its attended forms side by side, averaged.

    Args:
        features: Channels of the map.
        width: Channels of each attended form.
        attentions: Of `cam` and `pam`.
        heads: Whether convolutions stand around each attention.
    """

    def __init__(self, features: int, width: int, attentions: Sequence[str], *, heads: bool) -> None:
        super().__init__()
        self.attentions = tuple(attentions)
        for kind in attentions:
            module = AttentionHead(features, kind, width) if heads else attention(features, kind)
            self.add_module(f"{kind}_module", module)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C + the attentions' widths)."""
        maps = maps.relu()
        forms = [maps, *(self.get_submodule(f"{kind}_module")(maps) for kind in self.attentions)]
        return torch.cat([form.mean(dim=(2, 3)) for form in forms], dim=1)


def _embedding(features: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width), nn.BatchNorm1d(width), nn.ReLU())
