"""Reads the shape of a vision transformer off the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.vits.positions import find_grid

_HEADS = {192: 3, 384: 6, 512: 8, 768: 12, 1024: 16, 1152: 16, 1280: 16, 1408: 16, 1536: 24, 1664: 16, 4096: 32}
_CHANNELS_OF_A_HEAD = 64
_MOST_CHANNELS, _DEEPEST, _LARGEST_PATCH, _MOST_TOKENS = 8192, 128, 64, 64
_ROPE_EPS, _ROPE_REGISTERS = 1e-5, 4
_OLD_SMALL = (768, 8, 2304)
_BLOCK = re.compile(r"blocks\.(\d+)\..*")

Shapes = Mapping[str, tuple[int, ...]]


def read_structure(tensors: Mapping[str, torch.Tensor], person_first: bool = False) -> Structure | None:
    """Returns the options of a `VisionTransformer` and the input size that its positions stand for.

    Args:
        tensors: By the network's names.
        person_first: See `find_grid`.

    Returns:
        None where the tensors are of another network, or of shapes that no vision transformer has.
    """
    shapes: Shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    stem = _stem(shapes)
    if stem is None or not _is_one(shapes):
        return None
    kind, dim, patch = stem
    options: dict[str, Any] = {"stem": kind, "dim": dim, "patch": patch}
    perceptron = _perceptron(shapes, dim)
    depth = _depth(shapes)
    if perceptron is None or depth is None or "blocks.0.attn.qkv.weight" not in shapes:
        return None
    options |= {"depth": depth, "perceptron": perceptron[0], "hidden": perceptron[1]}
    heads, notes = _heads(shapes, dim, depth, perceptron[1])
    options |= {"heads": heads, "bias": _bias(shapes), "layer_scale": "blocks.0.ls1.gamma" in shapes}
    if (dim, depth, perceptron[1]) == _OLD_SMALL and options["bias"] == "none":
        options["scale"] = dim**-0.5
    options |= _tokens(shapes)
    options |= {"pre_norm": "norm_pre.weight" in shapes, "norm": "fc_norm" if "fc_norm.weight" in shapes else "norm"}
    options["pool"] = _pool(options)
    places = _places(shapes, options, person_first)
    if places is None:
        return None
    return Structure(options | places.options, places.input, [*notes, *places.notes])


def _stem(shapes: Shapes) -> tuple[str, int, int] | None:
    """The kind of stem, the width of the tokens, and the side of a patch in pixels."""
    plain = shapes.get("patch_embed.proj.weight", ())
    conv = shapes.get("patch_embed.proj.12.weight", ())
    if len(plain) == 4 and plain[2] == plain[3]:
        ics = "patch_embed.conv.0.weight" in shapes
        found = ("ics", plain[0], 2 * plain[2]) if ics else ("patch", plain[0], plain[2])
        fits = plain[1] == (64 if ics else 3)
    elif len(conv) == 4:
        found, fits = ("conv", conv[0], 16), conv[2:] == (1, 1)
    else:
        return None
    return found if fits and 8 <= found[1] <= _MOST_CHANNELS and 2 <= found[2] <= _LARGEST_PATCH else None


def _is_one(shapes: Shapes) -> bool:
    """Whether the tensors have one last normalisation, of the two names that it goes by."""
    return ("norm.weight" in shapes) != ("fc_norm.weight" in shapes)


def _depth(shapes: Shapes) -> int | None:
    numbers = {int(match[1]) for name in shapes if (match := _BLOCK.fullmatch(name)) and len(match[1]) < 5}
    depth = len(numbers)
    return depth if 0 < depth <= _DEEPEST and numbers == set(range(depth)) else None


def _perceptron(shapes: Shapes, dim: int) -> tuple[str, int] | None:
    """Kind and hidden width of the perceptron."""
    for name, kind, parts in (("fc1", "gelu", 1), ("w12", "swiglu_packed", 2), ("w1", "swiglu_split", 1)):
        shape = shapes.get(f"blocks.0.mlp.{name}.weight", ())
        if len(shape) == 2 and shape[1] == dim and 0 < shape[0] <= 16 * _MOST_CHANNELS:
            return kind, shape[0] // parts
    return None


def _heads(shapes: Shapes, dim: int, depth: int, hidden: int) -> tuple[int, list[str]]:
    table = shapes.get("blocks.0.attn.relative_position_bias_table") or shapes.get(
        "rel_pos_bias.relative_position_bias_table", ()
    )
    if len(table) == 2 and 0 < table[1] <= dim and dim % table[1] == 0:
        return table[1], []
    periods = shapes.get("rope_embed.periods", ())
    if len(periods) == 1 and periods[0] and dim % (4 * periods[0]) == 0:
        return dim // (4 * periods[0]), []
    if (dim, depth, hidden) == _OLD_SMALL:
        return 8, []
    if dim in _HEADS:
        return _HEADS[dim], []
    heads = next(count for count in range(max(1, dim // _CHANNELS_OF_A_HEAD), 0, -1) if dim % count == 0)
    return heads, [f"tensors do not tell the number of attention heads: {heads} were assumed for {dim} channels"]


def _bias(shapes: Shapes) -> str:
    if "blocks.0.attn.q_bias" in shapes:
        return "qv"
    if "blocks.0.attn.qkv.bias_mask" in shapes:
        return "masked"
    return "full" if "blocks.0.attn.qkv.bias" in shapes else "none"


def _tokens(shapes: Shapes) -> dict[str, Any]:
    registers = shapes.get("reg_token", ())
    return {
        "cls_token": "cls_token" in shapes,
        "dist_token": "dist_token" in shapes,
        "registers": registers[1] if len(registers) == 3 and registers[1] <= _MOST_TOKENS else 0,
    }


def _pool(options: Mapping[str, Any]) -> str:
    if options["norm"] == "fc_norm" or not options["cls_token"]:
        return "mean"
    return "both" if options["dist_token"] else "token"


def _places(shapes: Shapes, options: Mapping[str, Any], person_first: bool) -> Structure | None:
    """The options that say where patches lie, and the input size."""
    absolute, relative = shapes.get("pos_embed"), shapes.get("blocks.0.attn.relative_position_bias_table")
    shared = shapes.get("rel_pos_bias.relative_position_bias_table")
    if absolute is not None:
        return _absolute(absolute, options, person_first)
    table = relative or shared
    if table:
        found = find_grid(_squares_of_table(table[0]), options["patch"])
        if found is None:
            return None
        grid = found.grid
        place: dict[str, object] = {"window": [grid.rows, grid.columns], "shared_window": relative is None}
        return Structure(place, {"height": grid.height, "width": grid.width})
    if "rope_embed.periods" in shapes:
        return Structure({"rope": "stored", "eps": _ROPE_EPS})
    turns = options["dim"] // options["heads"] % 4 == 0
    if turns and options["layer_scale"] and options["cls_token"] and options["registers"] == _ROPE_REGISTERS:
        return Structure({"rope": "computed", "eps": _ROPE_EPS})
    return None


def _squares_of_table(rows: int) -> int:
    """Patches of a square window whose table of relative positions has so many rows; 0 where there is none."""
    side = next((side for side in range(1, 129) if (2 * side - 1) ** 2 + 3 == rows), 0)
    return side * side


def _absolute(shape: tuple[int, ...], options: Mapping[str, Any], person_first: bool) -> Structure | None:
    if len(shape) != 3 or shape[0] != 1:
        return None
    before = int(options["cls_token"]) + int(options["dist_token"])
    for tokens in dict.fromkeys((before, 0, before + options["registers"])):
        found = find_grid(shape[1] - tokens, options["patch"], person_first)
        if found is not None:
            grid = found.grid
            place: dict[str, object] = {"grid": [grid.rows, grid.columns], "placed": tokens, "stride": grid.stride}
            notes = [found.note] if found.note else []
            return Structure(place, {"height": grid.height, "width": grid.width}, notes)
    return None
