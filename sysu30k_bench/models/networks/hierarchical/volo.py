"""VOLO of any depth and width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.hierarchical.shapes import count_of, shape_of
from sysu30k_bench.models.networks.hierarchical.swin_layers import Mlp

_KERNEL = 3


class _Outlook(nn.Module):
    """Attention over the 3 x 3 places around a place, with weights from that place alone (section 3.1).

    Values of every 3 x 3 surrounding are mixed by weights that a linear layer makes of the 2 x 2 places at its
    centre, and where surroundings overlap the results are added.
    """

    def __init__(self, width: int, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.v = nn.Linear(width, width, bias=qkv_bias)
        self.attn = nn.Linear(width, heads * _KERNEL**4)
        self.proj = nn.Linear(width, width)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Maps (N, H, W, C) to (N, H, W, C)."""
        count, height, width, channels = grid.shape
        head = channels // self.heads
        values = functional.unfold(self.v(grid).permute(0, 3, 1, 2), _KERNEL, padding=1, stride=2)
        values = values.view(count, self.heads, head, _KERNEL**2, -1).permute(0, 1, 4, 3, 2)
        centres = functional.avg_pool2d(grid.permute(0, 3, 1, 2), 2, 2, ceil_mode=True).flatten(2).transpose(1, 2)
        weights = self.attn(centres).view(count, -1, self.heads, _KERNEL**2, _KERNEL**2).transpose(1, 2)
        mixed = (weights * head**-0.5).softmax(dim=-1) @ values
        spread = mixed.permute(0, 1, 4, 3, 2).flatten(1, 3)
        folded = functional.fold(spread, (height, width), _KERNEL, padding=1, stride=2)
        projected: torch.Tensor = self.proj(folded.permute(0, 2, 3, 1))
        return projected


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Maps (N, H, W, C) to (N, H, W, C)."""
        qkv = self.qkv(grid.flatten(1, 2)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        projected: torch.Tensor = self.proj(seen.transpose(1, 2).reshape(grid.shape))
        return projected


class _ClassAttention(nn.Module):
    def __init__(self, width: int, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.kv = nn.Linear(width, 2 * width, bias=qkv_bias)
        self.q = nn.Linear(width, width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (N, P, C), the class token first, to the class token's (N, 1, C)."""
        kv = self.kv(tokens).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query = self.q(tokens[:, :1]).unflatten(2, (self.heads, -1)).transpose(1, 2)
        seen = functional.scaled_dot_product_attention(query, kv[0], kv[1])
        projected: torch.Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return projected


class _Block(nn.Module):
    def __init__(self, width: int, hidden: int, attn: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = attn
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, hidden)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps a grid (N, H, W, C) to a grid, or tokens (N, P, C) to the class token (N, 1, C)."""
        own = tokens[:, :1] if isinstance(self.attn, _ClassAttention) else tokens
        own = own + self.attn(self.norm1(tokens))
        mapped: torch.Tensor = own + self.mlp(self.norm2(own))
        return mapped


class _Stem(nn.Module):
    def __init__(self, stem: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, kernel, stride in ((3, 7, 2), (stem, 3, 1), (stem, 3, 1)):
            convolution = nn.Conv2d(before, stem, kernel, stride, kernel // 2, bias=False)
            layers += [convolution, nn.BatchNorm2d(stem), nn.ReLU()]
        self.conv = nn.Sequential(*layers)
        self.proj = nn.Conv2d(stem, width, 4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to (N, C, H / 8, W / 8)."""
        projected: torch.Tensor = self.proj(self.conv(images))
        return projected


class _Halving(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(before, after, 2, 2)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Maps (N, H, W, C) to (N, H / 2, W / 2, C')."""
        projected: torch.Tensor = self.proj(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return projected


class VOLO(nn.Module):
    """VOLO (https://arxiv.org/abs/2106.13112, section 3): the class token after the last normalisation.

    Args:
        stem: Channels of the first convolutions.
        widths: Channels of the outlook stage and of the others.
        heads: Attention heads of the outlook stage and of the others.
        depths: Blocks in each stage, the outlook stage first.
        hidden: Channels within the MLPs of the outlook stage and of the others.
        last: Blocks of the class token's attention.
        places: Rows and columns of the position embedding.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(
        self,
        stem: int = 64,
        widths: Sequence[int] = (192, 384),
        heads: Sequence[int] = (6, 12),
        depths: Sequence[int] = (4, 4, 8, 2),
        hidden: Sequence[int] = (576, 1152),
        last: int = 2,
        places: Sequence[int] = (16, 8),
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        first, width = widths
        self.patch_embed = _Stem(stem, first)
        self.pos_embed = nn.Parameter(torch.zeros(1, *places, width))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        outlooks = [_Block(first, hidden[0], _Outlook(first, heads[0], qkv_bias)) for _ in range(depths[0])]
        stages: list[nn.Module] = [nn.Sequential(*outlooks), _Halving(first, width)]
        for depth in depths[1:]:
            blocks = [_Block(width, hidden[1], _Attention(width, heads[1], qkv_bias)) for _ in range(depth)]
            stages.append(nn.Sequential(*blocks))
        self.network = nn.ModuleList(stages)
        blocks = [_Block(width, hidden[1], _ClassAttention(width, heads[1], qkv_bias)) for _ in range(last)]
        self.post_network = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads depths, widths and the grid, from which the size of the images follows.

        The heads after the outlook stage leave no trace: 32 channels each, or 16 heads of 48, as VOLO was published.

        Args:
            tensors: The file's tensors by the names of VOLO's own code.

        Returns:
            The options and the input size; None where the tensors are no VOLO's.
        """
        stem, *_ = shape_of(tensors, "patch_embed.conv.0.weight", 4)
        _, rows, columns, width = shape_of(tensors, "pos_embed", 4)
        weights, first = shape_of(tensors, "network.0.0.attn.attn.weight", 2)
        stages = count_of(tensors, r"network\.(\d+)\.(?:\d+\.norm1|proj)\.weight", 16)
        depths = [count_of(tensors, rf"network\.{stage}\.(\d+)\.norm1\.weight") for stage in (0, *range(2, stages))]
        hidden = [shape_of(tensors, f"network.{stage}.0.mlp.fc1.weight", 2)[0] for stage in (0, 2)]
        last = count_of(tensors, r"post_network\.(\d+)\.attn\.kv\.weight", 16)
        heads = [weights // _KERNEL**4, 16 if width == 768 else width // 32]
        if 0 in (stem, rows, columns, width, weights, last, *depths, *hidden, *heads) or len(depths) < 2:
            return None
        if weights % _KERNEL**4 or first % heads[0] or width % heads[1]:
            return None
        options: dict[str, object] = {
            "stem": stem,
            "widths": [first, width],
            "heads": heads,
            "depths": depths,
            "hidden": hidden,
            "last": last,
            "places": [rows, columns],
            "qkv_bias": "network.0.0.attn.v.bias" in tensors,
        }
        fits = 64 <= 16 * rows <= 4096 and 64 <= 16 * columns <= 4096
        return Structure(options, input={"height": 16 * rows, "width": 16 * columns} if fits else {})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps normalised images (N, 3, H, W) to features (N, D)."""
        grid = self.patch_embed(images).permute(0, 2, 3, 1)
        for index, stage in enumerate(self.network):
            grid = stage(grid if index != 2 else grid + self.pos_embed)
        token = self.cls_token.expand(len(grid), -1, -1)
        places = grid.flatten(1, 2)
        for block in self.post_network:
            token = block(torch.cat((token, places), dim=1))
        feature: torch.Tensor = self.norm(token[:, 0])
        return feature
