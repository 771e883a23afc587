"""open_clip's vision towers that are networks of timm: MobileCLIP, EVA, SigLIP, ConvNeXt, ViTamin, PE and others."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.clip.grid import shape_of, square_grid

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)
NOT_THE_TRUNK = re.compile(
    r"pos_embed|head\.fc\.(weight|bias)|head\.(weight|bias)|.*\.(num_batches_tracked|relative_position_index|attn_mask)"
)
CONVNEXT_SIDES = {("convnext_base", 640): 256, ("convnext_large", 768): 256}


class Trunk(NamedTuple):
    """How open_clip uses a network of timm.

    Attributes:
        name: Of the network in timm.
        pool: Its pooling.
        side: Of the image where no position embeddings tell it.
        patch: Side of a patch where position embeddings tell it; 0 where none do.
        mean: Of the pixels.
        std: Of the pixels.
        interpolation: Of the resizing.
    """

    name: str
    pool: str
    side: int
    patch: int = 0
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    interpolation: str = "bicubic"


def _mobile(name: str, *, plain: bool) -> Trunk:
    mean, std = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)) if plain else (OPENAI_MEAN, OPENAI_STD)
    return Trunk(name, "avg", 256, 0, mean, std, "bilinear")


TRUNKS = {
    10932864: _mobile("fastvit_mci0", plain=True),
    21106176: _mobile("fastvit_mci1", plain=True),
    35283840: _mobile("fastvit_mci2", plain=True),
    123041088: _mobile("fastvit_mci3", plain=False),
    318867200: _mobile("fastvit_mci4", plain=False),
    85805568: Trunk("vit_base_mci_224", "token", 224, 16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear"),
    302916608: Trunk("vit_large_patch14_clip_224", "token", 224, 14),
    85718016: Trunk("eva02_base_patch16_clip_224", "token", 224, 16),
    303054784: Trunk("eva02_large_patch14_clip_224", "token", 224, 14),
    4348260352: Trunk("eva02_enormous_patch14_clip_224", "token", 224, 14),
    1010784256: Trunk("eva_giant_patch14_224", "token", 224, 14),
    92733696: Trunk("vit_base_patch16_siglip_224", "map", 224, 16, HALF, HALF),
    94503168: Trunk("vit_base_patch32_siglip_256", "map", 256, 32, HALF, HALF),
    315694080: Trunk("vit_large_patch16_siglip_256", "map", 256, 16, HALF, HALF),
    427385792: Trunk("vit_so400m_patch14_siglip_224", "map", 224, 14, HALF, HALF),
    427593152: Trunk("vit_so400m_patch16_siglip_256", "map", 256, 16, HALF, HALF),
    1162775040: Trunk("vit_giantopt_patch16_siglip_256", "map", 256, 16, HALF, HALF),
    27820128: Trunk("convnext_tiny", "", 224),
    49454688: Trunk("convnext_small", "", 224),
    87566464: Trunk("convnext_base", "", 224),
    196230336: Trunk("convnext_large", "", 224),
    348147968: Trunk("convnext_xlarge", "", 256),
    843398016: Trunk("convnext_xxlarge", "", 256),
    21802432: Trunk("vitamin_small_224", "", 224, 16),
    86981504: Trunk("vitamin_base_224", "", 224, 16),
    332330912: Trunk("vitamin_large_224", "", 224, 16),
    434726976: Trunk("vitamin_xlarge_256", "", 256),
    5931456: Trunk("vit_pe_core_tiny_patch16_384", "map", 384, 16, HALF, HALF, "bilinear"),
    23364480: Trunk("vit_pe_core_small_patch16_384", "map", 384, 16, HALF, HALF, "bilinear"),
    92735232: Trunk("vit_pe_core_base_patch16_224", "map", 224, 16, HALF, HALF, "bilinear"),
    315511808: Trunk("vit_pe_core_large_patch14_336", "map", 336, 14, HALF, HALF, "bilinear"),
    86743224: Trunk("swin_base_patch4_window7_224", "", 224),
    38217216: Trunk("vit_medium_patch16_gap_256", "", 256, 16),
    38251616: Trunk("vit_relpos_medium_patch16_cls_224", "", 224),
}
"""By the number of values in the trunk, without position embeddings, classifier, counters and index tables."""


class TimmTower(nn.Module):
    """A network of timm and what open_clip puts behind it.

    Args:
        model: Name of the network in timm.
        pool: Its pooling; empty for its own.
        classes: Width of its classifier, which is the projection then; 0 for none.
        side: Of the image, where the network has position embeddings; 0 otherwise.
        project: `none`, `linear` or `mlp`: the layer behind the network.
        output: Width of that layer's result.
        bias: Whether its last linear layer has a bias.
    """

    def __init__(
        self, model: str = "fastvit_mci0", pool: str = "avg", classes: int = 512, side: int = 0,
        project: str = "none", output: int = 0, bias: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        import timm  # takes seconds

        options: dict[str, object] = {"num_classes": classes}
        if pool:
            options["global_pool"] = pool
        if side:
            options["img_size"] = side
        self.trunk: nn.Module = timm.create_model(model, pretrained=False, **options)
        inputs = int(self.trunk.num_features)
        layers: list[tuple[str, nn.Module]] = []
        if project == "linear":
            layers = [("proj", nn.Linear(inputs, output, bias=bias))]
        elif project == "mlp":
            first, second = nn.Linear(inputs, 2 * output), nn.Linear(2 * output, output, bias=bias)
            parts = [("fc1", first), ("act", nn.GELU()), ("fc2", second)]
            layers = [("mlp", nn.Sequential(OrderedDict(parts)))]
        self.head = nn.Sequential(OrderedDict(layers))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Finds timm's network by the number of values, the grid by the positions, the projection by its shape."""
        values = {name[6:]: tensor for name, tensor in tensors.items() if name.startswith("trunk.")}
        count = sum(math.prod(tensor.shape) for name, tensor in values.items() if not NOT_THE_TRUNK.fullmatch(name))
        trunk = TRUNKS.get(count)
        if trunk is None:
            return None
        classes = shape_of(values, "head.fc.weight", 2) or shape_of(values, "head.weight", 2) or (0,)
        options: dict[str, object] = {"model": trunk.name, "pool": trunk.pool, "classes": classes[0]}
        linear, hidden = shape_of(tensors, "head.proj.weight", 2), shape_of(tensors, "head.mlp.fc2.weight", 2)
        projection = linear or hidden
        if projection is not None:
            bias = "head.proj.bias" in tensors or "head.mlp.fc2.bias" in tensors
            options.update(project="linear" if linear else "mlp", output=projection[0], bias=bias)
        side = trunk.side
        if trunk.patch:
            found = _side(values, trunk.patch)
            if found is None:
                return None
            side = options["side"] = found
        elif projection is not None:
            side = CONVNEXT_SIDES.get((trunk.name, projection[0]), side)
        return Structure(
            options,
            {
                "height": side, "width": side, "mean": list(trunk.mean), "std": list(trunk.std),
                "interpolation": trunk.interpolation,
            },
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, side, side) to the image embedding."""
        result: torch.Tensor = self.head(self.trunk(images))
        return result


def _side(values: Mapping[str, torch.Tensor], patch: int) -> int | None:
    """Returns the image's side: position embeddings (1, cells, D), in most networks with one for the class token."""
    shape = shape_of(values, "pos_embed", 3)
    if shape is None:
        return None
    cells = square_grid(shape[1]) or square_grid(shape[1] - 1)
    return None if cells is None else cells * patch
