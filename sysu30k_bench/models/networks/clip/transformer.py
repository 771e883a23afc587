"""The vision transformer of CLIP (Radford et al., ICML 2021, section 2.4), with open_clip's variants."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from sysu30k_bench.models.networks.clip.grid import fitted_positions

ACTIVATIONS = ("gelu", "quick_gelu")


class QuickGelu(nn.Module):
    """The approximation x * sigmoid(1.702 x) of GELU (Hendrycks and Gimpel, 2016, section 2): OpenAI's activation."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Applies it to each value."""
        return values * torch.sigmoid(1.702 * values)


def activation(name: str) -> nn.Module:
    """Builds `gelu` or `quick_gelu`."""
    if name not in ACTIVATIONS:
        raise ValueError(f"the activation is one of {', '.join(ACTIVATIONS)}, not {name!r}")
    return QuickGelu() if name == "quick_gelu" else nn.GELU()


class Attention(nn.Module):
    """Multi-head attention under the names of `torch.nn.MultiheadAttention`.

    Args:
        width: Of queries and of the output, D.
        heads: Number of heads.
        memory: Width of keys and values where it is another one: then the three projections stand apart.
    """

    def __init__(self, width: int, heads: int, memory: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.apart = memory is not None and memory != width
        if self.apart:
            self.q_proj_weight = nn.Parameter(torch.empty(width, width))
            self.k_proj_weight = nn.Parameter(torch.empty(width, memory or width))
            self.v_proj_weight = nn.Parameter(torch.empty(width, memory or width))
        else:
            self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, queries: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """Lets (N, L, D) look at (N, M, E); the result is (N, L, D)."""
        weights = (
            (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight) if self.apart else self.in_proj_weight.chunk(3)
        )
        inputs, width = (queries, memory, memory), queries.shape[2] // self.heads
        query, key, value = (
            F.linear(tokens, weight, bias).reshape(len(tokens), -1, self.heads, width).transpose(1, 2)
            for tokens, weight, bias in zip(inputs, weights, self.in_proj_bias.chunk(3), strict=True)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        out: torch.Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class LayerScale(nn.Module):
    """One factor for each channel (Touvron et al., ICCV 2021, section 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scales (N, L, D)."""
        return tokens * self.gamma


class Block(nn.Module):
    """Attention and two linear layers, each behind a layer norm and beside an identity.

    Args:
        width: Of a token.
        heads: Of the attention.
        hidden: Between the two linear layers.
        act: `gelu` or `quick_gelu`.
        scaled: Whether both branches end in a layer scale.
    """

    def __init__(self, width: int, heads: int, hidden: int, act: str, *, scaled: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        parts = [("c_fc", nn.Linear(width, hidden)), ("gelu", activation(act)), ("c_proj", nn.Linear(hidden, width))]
        self.mlp = nn.Sequential(OrderedDict(parts))
        self.ls_1 = LayerScale(width) if scaled else nn.Identity()
        self.ls_2 = LayerScale(width) if scaled else nn.Identity()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (N, L, D) to (N, L, D)."""
        normed = self.ln_1(tokens)
        tokens = tokens + self.ls_1(self.attn(normed, normed))
        result: torch.Tensor = tokens + self.ls_2(self.mlp(self.ln_2(tokens)))
        return result


class Blocks(nn.Module):
    """The blocks one after the other, under the name `resblocks`."""

    def __init__(self, depth: int, width: int, heads: int, hidden: int, act: str, *, scaled: bool) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*[Block(width, heads, hidden, act, scaled=scaled) for _ in range(depth)])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (N, L, D) to (N, L, D)."""
        result: torch.Tensor = self.resblocks(tokens)
        return result


class AttentionPooler(nn.Module):
    """Learned queries that look at the tokens (CoCa: Yu et al., 2022, section 3.2), as open_clip orders the norms."""

    def __init__(self, width: int, memory: int, queries: int, heads: int = 8) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(queries, width))
        self.attn = Attention(width, heads, memory)
        self.ln_q = nn.LayerNorm(width)
        self.ln_k = nn.LayerNorm(memory)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (N, L, memory) to what the first query saw, (N, width)."""
        queries = self.ln_q(self.query[:1]).expand(len(tokens), -1, -1)
        seen: torch.Tensor = self.attn(queries, self.ln_k(tokens))
        return seen[:, 0]


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, blocks, and the projection into the space that images and text share.

    Args:
        width: Of a token.
        depth: Number of blocks.
        heads: Of each attention.
        hidden: Between the linear layers of a block.
        output: Width of the embedding; 0 leaves the projection out.
        patch: Side of a patch.
        stride: From patch to patch.
        rows: Of the grid of positions.
        columns: Of the grid of positions.
        act: `gelu` or `quick_gelu`.
        scaled: Whether blocks have layer scales.
        pre_norm: Whether a layer norm stands before the blocks; without it (CLIPA) patches are averaged, then normed.
        queries: Of an attention pooler (CoCa); 0 for none.
    """

    def __init__(
        self, width: int, depth: int, heads: int, hidden: int, output: int, patch: int, stride: int,
        rows: int, columns: int, act: str, *, scaled: bool = False, pre_norm: bool = True, queries: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.width, self.grid = width, (rows, columns)
        self.averages = not pre_norm
        self.conv1 = nn.Conv2d(3, width, patch, stride, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(rows * columns + 1, width))
        self.ln_pre = nn.LayerNorm(width) if pre_norm else nn.Identity()
        self.transformer = Blocks(depth, width, heads, hidden, act, scaled=scaled)
        self.attn_pool = AttentionPooler(output, width, queries) if queries else None
        pooled = output if queries else width
        self.ln_post = nn.LayerNorm(pooled)
        self.proj = nn.Parameter(torch.empty(pooled, output)) if output else None

    def tokens(self, images: torch.Tensor, token: torch.Tensor | None = None) -> torch.Tensor:
        """Runs the blocks.

        Args:
            images: (N, 3, H, W), normalised.
            token: Added to the class token, (N, D) or (D,).

        Returns:
            (N, 1 + patches, D), before the last norm.
        """
        maps = self.conv1(images)
        positions = fitted_positions(self.positional_embedding, self.grid, (maps.shape[2], maps.shape[3]))
        first = self.class_embedding + (0 if token is None else token)
        tokens = torch.cat([first.expand(len(images), -1)[:, None], maps.flatten(2).transpose(1, 2)], dim=1)
        result: torch.Tensor = self.transformer(self.ln_pre(tokens + positions))
        return result

    def pooled(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps (N, L, D) to the vector before the projection: the normed class token, unless the variant pools."""
        if self.attn_pool is not None:
            tokens = self.attn_pool(tokens)
        else:
            tokens = tokens[:, 1:].mean(dim=1) if self.averages else tokens[:, 0]
        result: torch.Tensor = self.ln_post(tokens)
        return result

    def project(self, vectors: torch.Tensor) -> torch.Tensor:
        """Maps (N, D) into the shared space."""
        return vectors if self.proj is None else vectors @ self.proj

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to the image embedding."""
        return self.project(self.pooled(self.tokens(images)))
