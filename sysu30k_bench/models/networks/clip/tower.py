"""CLIP's vision tower of whichever kind a file holds, by the names of OpenAI's CLIP and of open_clip (`visual.*`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.clip.grid import count_of, person_grid, shape_of, square_grid
from sysu30k_bench.models.networks.clip.resnet import ModifiedResNet
from sysu30k_bench.models.networks.clip.transformer import VisionTransformer

HEAD_WIDTHS = {1280: 80, 1408: 88, 1664: 104, 1792: 112}
"""Tokens wider than 1,024 have wider heads in open_clip's configurations; all others have 64."""

CLIPA_INPUT: dict[str, object] = {
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "interpolation": "bilinear",
}

GELU_ASSUMED = (
    "GELU, the default of open_clip; files of its -quickgelu models (OpenAI's weights saved by "
    "open_clip, MetaCLIP, DFN) look the same and need --network-option act=quick_gelu"
)
QUICK_ASSUMED = "QuickGELU, as in OpenAI's own code; the weights do not determine it"


class ClipVision(nn.Module):
    """The image encoder of CLIP: a vision transformer, or a ResNet with attention pooling.

    Args:
        kind: `vit` or `resnet`.
        width: Of a token; channels after a ResNet's stem.
        layers: Number of blocks, one number for a transformer and four for a ResNet.
        output: Width of the embedding.
        rows: Of the grid of positions.
        columns: Of the grid of positions.
        patch: Side of a patch (transformer).
        stride: From patch to patch (transformer).
        hidden: Between the linear layers of a block (transformer).
        act: `gelu` or `quick_gelu` (transformer).
        scaled: Whether blocks have layer scales (transformer).
        pre_norm: Whether a norm stands before the blocks (transformer).
        queries: Of CoCa's attention pooler (transformer).
        last_stride: Of the last stage (ResNet).
        heads: Of each attention (transformer); 0 derives them from the width.
    """

    def __init__(
        self, kind: str = "vit", width: int = 768, layers: Sequence[int] = (12,), output: int = 512, rows: int = 14,
        columns: int = 14, patch: int = 16, stride: int = 16, hidden: int = 3072, act: str = "gelu",
        scaled: bool = False, pre_norm: bool = True, queries: int = 0, last_stride: int = 2, heads: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.visual: VisionTransformer | ModifiedResNet
        if kind == "resnet":
            self.visual = ModifiedResNet(layers, width, output, rows, columns, last_stride)
        else:
            heads = heads or width // HEAD_WIDTHS.get(width, 64)
            self.visual = VisionTransformer(
                width, layers[0], heads, hidden, output, patch, stride, rows, columns, act,
                scaled=scaled, pre_norm=pre_norm, queries=queries,
            )  # fmt: skip

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads kind, widths, depth and grid; the activation from the order in which the program wrote the tensors."""
        return structure_of(tensors)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, 3, H, W) to the image embedding, (N, output)."""
        result: torch.Tensor = self.visual(images)
        return result


def structure_of(tensors: Mapping[str, torch.Tensor], start: str = "visual.") -> Structure | None:
    """Reads the options of `ClipVision` off tensors whose names begin with `start`."""
    if f"{start}class_embedding" in tensors:
        return _transformer(tensors, start)
    return _resnet(tensors, start)


def _transformer(tensors: Mapping[str, torch.Tensor], start: str) -> Structure | None:
    kernel = shape_of(tensors, f"{start}conv1.weight", 4)
    positions = shape_of(tensors, f"{start}positional_embedding", 2)
    hidden = shape_of(tensors, f"{start}transformer.resblocks.0.mlp.c_fc.weight", 2)
    projection = shape_of(tensors, f"{start}proj", 2)
    depth = count_of(tensors, f"{start}transformer.resblocks.", ".attn.in_proj_weight")
    if kernel is None or positions is None or hidden is None or kernel[2] != kernel[3] or not 0 < depth <= 200:
        return None
    width, patch = kernel[0], kernel[2]
    head = HEAD_WIDTHS.get(width, 64)
    if width % head or positions[1] != width or (projection is None and f"{start}proj" in tensors):
        return None
    grid = _grid(positions[0] - 1, patch)
    if grid is None:
        return None
    height, wide, rows, columns, stride = grid
    options: dict[str, object] = {
        "kind": "vit", "width": width, "layers": [depth], "output": 0 if projection is None else projection[1],
        "rows": rows, "columns": columns, "patch": patch, "stride": stride, "hidden": hidden[0],
        "scaled": f"{start}transformer.resblocks.0.ls_1.gamma" in tensors,
        "pre_norm": f"{start}ln_pre.weight" in tensors,
    }  # fmt: skip
    queries = shape_of(tensors, f"{start}attn_pool.query", 2)
    if queries is not None:
        if projection is None or projection[0] != projection[1] or queries[1] != projection[1] or queries[1] % 8:
            return None
        options["queries"] = queries[0]
    elif projection is not None and projection[0] != width:
        return None
    options["act"] = "quick_gelu" if _written_by_openai(tensors, start) else "gelu"
    note = QUICK_ASSUMED if options["act"] == "quick_gelu" else GELU_ASSUMED
    size: dict[str, object] = {"height": height, "width": wide}
    if not options["pre_norm"]:
        size.update(CLIPA_INPUT)
    return Structure(options, size, [note])


def _resnet(tensors: Mapping[str, torch.Tensor], start: str) -> Structure | None:
    stem = shape_of(tensors, f"{start}conv3.weight", 4)
    positions = shape_of(tensors, f"{start}attnpool.positional_embedding", 2)
    output = shape_of(tensors, f"{start}attnpool.c_proj.weight", 2)
    layers = [count_of(tensors, f"{start}layer{stage}.", ".conv1.weight") for stage in (1, 2, 3, 4)]
    if stem is None or positions is None or output is None or not all(0 < blocks <= 200 for blocks in layers):
        return None
    width = stem[0]
    if width % 2 or positions[1] != width * 32 or output[1] != width * 32:
        return None
    cells = positions[0] - 1
    side = square_grid(cells)
    if side is not None:
        height, wide, rows, columns, last_stride = side * 32, side * 32, side, side, 2
    else:
        found = person_grid(cells, 32, (32,)) or person_grid(cells, 16, (16,))
        if found is None:
            return None
        height, wide, rows, columns, step = found
        last_stride = step // 16
    options: dict[str, object] = {
        "kind": "resnet", "width": width, "layers": layers, "output": output[0], "rows": rows, "columns": columns,
        "last_stride": last_stride,
    }  # fmt: skip
    return Structure(options, {"height": height, "width": wide})


def _grid(positions: int, patch: int) -> tuple[int, int, int, int, int] | None:
    """Returns height, width, rows, columns and stride: square at the patch's own stride, or a person's."""
    if patch > 256:
        return None
    side = square_grid(positions)
    if side is not None:
        return side * patch, side * patch, side, side, patch
    return person_grid(positions, patch, (patch, patch * 3 // 4, patch * 7 // 8, patch // 2, patch * 11 // 16))


def _written_by_openai(tensors: Mapping[str, torch.Tensor], start: str) -> bool:
    """Tells OpenAI's code from open_clip's by the order of a block's parts: attention first, or its norm first.

    In a file that was sorted by name (`in_proj_bias` before `in_proj_weight`) the order says nothing.
    """
    block = f"{start}transformer.resblocks.0."
    order = {name: place for place, name in enumerate(tensors) if name.startswith(block)}
    weight, bias = order.get(f"{block}attn.in_proj_weight"), order.get(f"{block}attn.in_proj_bias")
    norm = order.get(f"{block}ln_1.weight")
    return None not in (weight, bias, norm) and bool(weight < bias and weight < norm)  # type: ignore[operator]
