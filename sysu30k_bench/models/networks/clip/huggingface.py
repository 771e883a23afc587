"""CLIP's vision transformer under the names of the transformers library (`vision_model.*`, `visual_projection`)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.clip.grid import count_of, fitted_positions, shape_of, square_grid
from sysu30k_bench.models.networks.clip.tower import HEAD_WIDTHS
from sysu30k_bench.models.networks.clip.transformer import activation

OPENAI_SHAPES = {(768, 32, 7), (768, 16, 14), (1024, 14, 16), (1024, 14, 24)}
"""Width, patch and side of the grid of the four transformers that OpenAI published."""


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        result: torch.Tensor = self.out_proj(mixed)
        return result


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int, act: str) -> None:
        super().__init__()
        self.act = activation(act)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.fc2(self.act(self.fc1(tokens)))
        return result


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, act: str) -> None:
        super().__init__()
        self.self_attn = _Attention(width, heads)
        self.layer_norm1 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, hidden, act)
        self.layer_norm2 = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.self_attn(self.layer_norm1(tokens))
        result: torch.Tensor = tokens + self.mlp(self.layer_norm2(tokens))
        return result


class _Encoder(nn.Module):
    def __init__(self, layers: list[_Layer]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layers(tokens)
        return result


class _Embeddings(nn.Module):
    def __init__(self, width: int, patch: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, patch, bias=False)
        self.position_embedding = nn.Embedding(side * side + 1, width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.patch_embedding(images)
        own, seen = (self.side, self.side), (maps.shape[2], maps.shape[3])
        positions = fitted_positions(self.position_embedding.weight, own, seen)
        first = self.class_embedding.expand(len(images), 1, -1)
        return torch.cat([first, maps.flatten(2).transpose(1, 2)], dim=1) + positions


class _Model(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, hidden: int, patch: int, side: int, act: str) -> None:
        super().__init__()
        self.embeddings = _Embeddings(width, patch, side)
        self.pre_layrnorm = nn.LayerNorm(width)
        self.encoder = _Encoder([_Layer(width, heads, hidden, act) for _ in range(depth)])
        self.post_layernorm = nn.LayerNorm(width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.encoder(self.pre_layrnorm(self.embeddings(images)))
        result: torch.Tensor = self.post_layernorm(tokens[:, 0])
        return result


class HuggingFaceClip(nn.Module):
    """The image embedding of CLIPModel and CLIPVisionModelWithProjection; without projection, the pooled output.

    Args:
        width: Of a token.
        depth: Number of layers.
        heads: Of each attention.
        hidden: Between the two linear layers.
        output: Width of the projection; 0 for none.
        patch: Side of a patch.
        side: Of the grid of positions.
        act: `quick_gelu` or `gelu`.
    """

    def __init__(
        self, width: int = 768, depth: int = 12, heads: int = 12, hidden: int = 3072, output: int = 512,
        patch: int = 32, side: int = 7, act: str = "quick_gelu",
    ) -> None:  # fmt: skip
        super().__init__()
        self.vision_model = _Model(width, depth, heads, hidden, patch, side, act)
        self.visual_projection = nn.Linear(width, output, bias=False) if output else nn.Identity()

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads widths, depth and grid; QuickGELU where OpenAI published that shape, GELU elsewhere."""
        kernel = shape_of(tensors, "vision_model.embeddings.patch_embedding.weight", 4)
        positions = shape_of(tensors, "vision_model.embeddings.position_embedding.weight", 2)
        hidden = shape_of(tensors, "vision_model.encoder.layers.0.mlp.fc1.weight", 2)
        depth = count_of(tensors, "vision_model.encoder.layers.", ".self_attn.q_proj.weight")
        if kernel is None or positions is None or hidden is None or not 0 < depth <= 200:
            return None
        projection = shape_of(tensors, "visual_projection.weight", 2)
        width, patch, side = kernel[0], kernel[2], square_grid(positions[0] - 1)
        head = HEAD_WIDTHS.get(width, 64)
        if side is None or patch > 256 or width % head:
            return None
        act = "quick_gelu" if (width, patch, side) in OPENAI_SHAPES else "gelu"
        options: dict[str, object] = {
            "width": width, "depth": depth, "heads": width // head, "hidden": hidden[0],
            "output": projection[0] if projection else 0, "patch": patch, "side": side, "act": act,
        }  # fmt: skip
        other = "gelu" if act == "quick_gelu" else "quick_gelu"
        note = f"{act}, by the shape of the network; the file's config.json states it (--network-option act={other})"
        return Structure(options, {"height": side * patch, "width": side * patch}, [note])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to the image embedding, (N, output)."""
        result: torch.Tensor = self.visual_projection(self.vision_model(images))
        return result
