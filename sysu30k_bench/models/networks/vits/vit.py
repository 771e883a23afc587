"""The plain vision transformer in timm's names, in every form that re-ID and self-supervised projects save it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.vits.attention import Bias, SharedBias, Turn, rope_periods, rope_turn
from sysu30k_bench.models.networks.vits.blocks import Block, Perceptron
from sysu30k_bench.models.networks.vits.positions import are_moco_positions, resized_positions
from sysu30k_bench.models.networks.vits.reading import read_structure
from sysu30k_bench.models.networks.vits.stems import ConvStem, PatchEmbed, Stem

Pool = Literal["token", "mean", "both", "all"]

MOCO_HEADS = 12
"""Heads of MoCo v3's small transformer, where others of its width have 6."""

_SMALL_HEADS = (3, 6)


class VisionTransformer(nn.Module):
    """A vision transformer (Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021).

    Args:
        dim: Width of the tokens.
        depth: Number of blocks.
        heads: Of every attention.
        hidden: Hidden width of the perceptrons.
        patch: Side of a patch, in pixels.
        stride: From patch to patch; `patch` where None.
        stem: `patch` is one convolution; see `stems` for the others.
        grid: Rows and columns that the position embeddings are for; None for a network without them.
        placed: How many of the tokens before the patches have a position embedding of their own.
        cls_token: Whether there is a class token.
        dist_token: Whether a distillation token follows it (DeiT).
        registers: Number of register tokens after those.
        bias: Of queries, keys and values, see `Attention`.
        layer_scale: See `Block`.
        perceptron: See `Block`.
        window: Rows and columns of the patches, for tables of relative position biases (BEiT).
        shared_window: Whether all blocks share one such table.
        rope: Rotations by place (DINOv3), with periods that the file has (`stored`) or has not (`computed`).
        pre_norm: Whether the tokens are normalised before the first block.
        norm: `norm`, over all tokens, or `fc_norm`, over their mean.
        pool: The class token, the mean of the patches, of class and distillation token (`both`), or of all tokens.
        scale: Of the attentions' dot products; by the width of a head where None.
        offset: See `resized_positions`.
        antialias: See `resized_positions`.
        eps: Of the normalisations.
    """

    def __init__(
        self,
        dim: int = 768,
        depth: int = 12,
        heads: int = 12,
        hidden: int = 3072,
        patch: int = 16,
        stride: int | None = None,
        stem: Stem = "patch",
        grid: list[int] | None = None,
        placed: int = 1,
        cls_token: bool = True,
        dist_token: bool = False,
        registers: int = 0,
        bias: Bias = "full",
        layer_scale: bool = False,
        perceptron: Perceptron = "gelu",
        window: list[int] | None = None,
        shared_window: bool = False,
        rope: Literal["none", "stored", "computed"] = "none",
        pre_norm: bool = False,
        norm: Literal["norm", "fc_norm"] = "norm",
        pool: Pool = "token",
        scale: float | None = None,
        offset: float = 0.1,
        antialias: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.dim, self.grid, self.pool, self.rope = dim, grid, pool, rope
        self._head_width, self._placed, self._offset, self._antialias = dim // heads, placed, offset, antialias
        self.patch_embed = (
            ConvStem(dim) if stem == "conv" else PatchEmbed(dim, patch, stride or patch, ics=stem == "ics")
        )
        for name, count in (("cls_token", int(cls_token)), ("dist_token", int(dist_token)), ("reg_token", registers)):
            if count:
                self.register_parameter(name, nn.Parameter(torch.zeros(1, count, dim)))
        self._leading = [name for name in ("cls_token", "dist_token", "reg_token") if hasattr(self, name)]
        if grid is not None:
            self.pos_embed = nn.Parameter(torch.zeros(1, placed + grid[0] * grid[1], dim))
        if window is not None and shared_window:
            self.rel_pos_bias = SharedBias(heads, window)
        if rope == "stored":
            self.rope_embed = nn.Module()
            self.rope_embed.register_buffer("periods", torch.ones(self._head_width // 4))
        self.norm_pre: nn.Module = nn.LayerNorm(dim, eps=eps) if pre_norm else nn.Identity()
        own_window = None if shared_window else window
        self.blocks = nn.ModuleList(
            Block(dim, heads, hidden, bias, layer_scale, perceptron, own_window, scale, eps) for _ in range(depth)
        )
        self.norm: nn.Module = nn.LayerNorm(dim, eps=eps) if norm == "norm" else nn.Identity()
        self.fc_norm: nn.Module = nn.LayerNorm(dim, eps=eps) if norm == "fc_norm" else nn.Identity()

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        found = read_structure(tensors)
        if found is None or found.options["heads"] not in _SMALL_HEADS or not found.options.get("grid"):
            return found
        if not are_moco_positions(tensors["pos_embed"]):
            return found
        note = f"its positions are MoCo v3's, whose transformers of this width have {MOCO_HEADS} heads"
        return Structure(found.options | {"heads": MOCO_HEADS}, found.input, [*found.notes, note])

    @property
    def leading(self) -> int:
        """How many tokens stand before those of the patches."""
        return sum(int(self.get_parameter(name).shape[1]) for name in self._leading)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds a batch.

        Args:
            images: Normalised, (N, 3, H, W).

        Returns:
            (N, D).
        """
        tokens, turn = self.embedded(images)
        return self.pooled(self.norm(self.through(tokens, turn)))

    def embedded(self, images: torch.Tensor) -> tuple[torch.Tensor, Turn | None]:
        """Returns the tokens before the first block, (N, T, D), and the rotations of the patches where there are."""
        maps = self.patch_embed(images)
        rows, columns = maps.shape[2:]
        patches = maps.flatten(2).transpose(1, 2)
        tokens = [self.get_parameter(name).expand(len(images), -1, -1) for name in self._leading]
        joined = torch.cat([*tokens, patches], dim=1)
        placed = joined if self.grid is None else joined + self.positions(self.grid, rows, columns)
        return self.norm_pre(placed), self._turn(rows, columns)

    def positions(self, grid: list[int], rows: int, columns: int) -> torch.Tensor:
        """Position embeddings of all tokens, (1, T, D), for an image of so many rows and columns of patches."""
        own, rest = self.pos_embed[:, : self._placed], self.pos_embed[:, self._placed :]
        without = rest.new_zeros(1, self.leading - self._placed, self.dim)
        placed = resized_positions(rest, grid, rows, columns, self._offset, self._antialias)
        return torch.cat((own, without, placed), dim=1)

    def through(self, tokens: torch.Tensor, turn: Turn | None = None, last: int | None = None) -> torch.Tensor:
        """Sends tokens (N, T, D) through the blocks, up to the one numbered `last`, which is left out."""
        shared = self.rel_pos_bias() if hasattr(self, "rel_pos_bias") else None
        for block in self.blocks[:last]:
            tokens = block(tokens, shared, turn)
        return tokens

    def pooled(self, tokens: torch.Tensor) -> torch.Tensor:
        """Returns the feature, (N, D), of normalised tokens (N, T, D)."""
        if self.pool == "token":
            feature = tokens[:, 0]
        elif self.pool == "both":
            feature = tokens[:, :2].mean(dim=1)
        else:
            feature = tokens[:, self.leading if self.pool == "mean" else 0 :].mean(dim=1)
        output: torch.Tensor = self.fc_norm(feature)
        return output

    def _turn(self, rows: int, columns: int) -> Turn | None:
        if self.rope == "none":
            return None
        if self.rope == "stored":
            periods = self.rope_embed.get_buffer("periods")
        else:
            periods = rope_periods(self._head_width).to(next(self.parameters()).device)
        return rope_turn(rows, columns, periods.float())
