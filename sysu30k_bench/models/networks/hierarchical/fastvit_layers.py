"""Layers of FastViT with the branches that it is trained with."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def conv_norm(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Builds a convolution (`conv`) that keeps the map's size but for its stride, and a batch normalisation (`bn`)."""
    layers = nn.Sequential()
    layers.add_module("conv", nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False))
    layers.add_module("bn", nn.BatchNorm2d(after))
    return layers


class SqueezeExcite(nn.Module):
    """Scales channels by what their means say (https://arxiv.org/abs/1709.01507).

    Args:
        width: Channels C.
        squeezed: Channels between the two 1 x 1 convolutions.
    """

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, width, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        means = self.reduce(maps.mean(dim=(2, 3), keepdim=True)).relu()
        scaled: torch.Tensor = maps * self.expand(means).sigmoid()
        return scaled


class Branches(nn.Module):
    """Sum of a convolution, a 1 x 1 convolution and the input, each normalised (https://arxiv.org/abs/2206.04040).

    Args:
        before: Channels in.
        after: Channels out.
        kernel: Side of the convolution.
        stride: Its stride.
        groups: Its groups.
        convolved: Whether there is a convolution at all.
        scaled: Whether there is a 1 x 1 convolution beside it (with kernels above 1).
        squeezed: Channels of a squeeze and excitation after the sum; 0 for none.
        activated: Whether a GELU follows.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        *,
        convolved: bool = True,
        scaled: bool = True,
        squeezed: int = 0,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.activated = activated
        self.se = SqueezeExcite(after, squeezed) if squeezed else nn.Identity()
        if before == after and stride == 1:
            self.rbr_skip = nn.BatchNorm2d(before)
        if convolved:
            self.rbr_conv = nn.ModuleList([conv_norm(before, after, kernel, stride, groups)])
        if scaled and kernel > 1:
            self.rbr_scale = conv_norm(before, after, 1, stride, groups)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', h, w)."""
        branches = [module(maps) for name, module in self.named_children() if name in {"rbr_skip", "rbr_scale"}]
        if hasattr(self, "rbr_conv"):
            branches.append(self.rbr_conv[0](maps))
        total: torch.Tensor = self.se(torch.stack(branches).sum(dim=0))
        return functional.gelu(total) if self.activated else total


class _Feed(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv = conv_norm(width, width, 7, groups=width)
        self.fc1 = nn.Conv2d(width, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, width, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        mapped: torch.Tensor = self.fc2(functional.gelu(self.fc1(self.conv(maps))))
        return mapped


class _Mixer(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm = Branches(width, width, kernel, groups=width, convolved=False, scaled=False, activated=False)
        self.mixer = Branches(width, width, kernel, groups=width, activated=False)
        self.layer_scale = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        mixed: torch.Tensor = maps + self.layer_scale * (self.mixer(maps) - self.norm(maps))
        return mixed


class MixerBlock(nn.Module):
    """Convolutional token mixing and a convolutional MLP (FastViT, section 3.2).

    Args:
        width: Channels C.
        hidden: Channels within the MLP.
        kernel: Side of the mixing convolution.
    """

    def __init__(self, width: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.token_mixer = _Mixer(width, kernel)
        self.convffn = _Feed(width, hidden)
        self.layer_scale = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        maps = self.token_mixer(maps)
        fed: torch.Tensor = maps + self.layer_scale * self.convffn(maps)
        return fed


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        tokens = maps.flatten(2).transpose(1, 2)
        qkv = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        projected: torch.Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return projected.transpose(1, 2).reshape(maps.shape)


class AttentionBlock(nn.Module):
    """Self-attention with heads of 32 channels and a convolutional MLP (FastViT, section 3.3).

    Args:
        width: Channels C.
        hidden: Channels within the MLP.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.token_mixer = _Attention(width, width // 32)
        self.convffn = _Feed(width, hidden)
        self.layer_scale_1 = nn.Parameter(torch.ones(width, 1, 1))
        self.layer_scale_2 = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        maps = maps + self.layer_scale_1 * self.token_mixer(self.norm(maps))
        fed: torch.Tensor = maps + self.layer_scale_2 * self.convffn(maps)
        return fed


class _LargeKernel(nn.Module):
    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        self.lkb_origin = conv_norm(before, after, kernel, 2, before)
        self.small_conv = conv_norm(before, after, 3, 2, before)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', H / 2, W / 2)."""
        total: torch.Tensor = self.lkb_origin(maps) + self.small_conv(maps)
        return total


class Halving(nn.Module):
    """A large depthwise convolution of stride 2, without activation, and a 1 x 1 convolution.

    Args:
        before: Channels in.
        after: Channels out.
        kernel: Side of the large convolution.
    """

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(_LargeKernel(before, after, kernel), Branches(after, after, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C', H / 2, W / 2)."""
        projected: torch.Tensor = self.proj(maps)
        return projected


class Places(nn.Module):
    """Adds a depthwise convolution of the map to it, as a position encoding.

    Args:
        width: Channels C.
        kernel: Side of the convolution.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.pe = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, C, H, W) to (N, C, H, W)."""
        placed: torch.Tensor = self.pe(maps) + maps
        return placed
