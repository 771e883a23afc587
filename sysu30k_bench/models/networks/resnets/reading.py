"""Reads a residual network's options off its tensors' names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

_MOST_BLOCKS = 400
_WIDEST = 1 << 15
_STAT = r"(?:weight|bias|running_mean|running_var|num_batches_tracked)"
_BLOCK_PARTS = re.compile(
    r"conv[123]\.weight|(?:bn[123]|downsample\.[12])(?:\.(?:IN|BN))?\."
    + _STAT
    + r"|IN\."
    + _STAT
    + r"|downsample\.[01]\.weight|se\.fc[12]\.(?:weight|bias)|se\.fc\.[02]\.weight"
    + r"|conv2\.(?:conv|fc[12])\.(?:weight|bias)|conv2\.bn[01]\."
    + _STAT
)
_NON_LOCAL_PARTS = re.compile(r"(?:g|theta|phi|W\.0)\.(?:weight|bias)|W\.1\." + _STAT)
_KEY = re.compile(r"(layer|NL_)([1-9]\d{0,1})\.(\d{1,3})\.(.+)")

Options = dict[str, object]


def trunk_options(tensors: Mapping[str, torch.Tensor]) -> Options | None:
    """Returns the options of `ResNetTrunk` that these tensors show.

    Args:
        tensors: By the network's own names; only names and shapes are read.

    Returns:
        JSON values by the constructor's names; None where the tensors are no such network's, or a block of it has a
        part that the network has not.
    """
    try:
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        options = _read(shapes)
    except (KeyError, IndexError, ValueError, ZeroDivisionError, AttributeError, TypeError):
        return None
    return options


def _read(shapes: dict[str, tuple[int, ...]]) -> Options | None:
    blocks = _count(shapes)
    if not blocks or not _only_known_parts(shapes):
        return None
    options: Options = {"blocks": blocks, **_stem(shapes)}
    block = "bottleneck" if "layer1.0.conv3.weight" in shapes else "basic"
    options["block"] = block
    stages = [_stage(shapes, f"layer{number}.0.", block) for number in range(1, len(blocks) + 1)]
    for name in ("entries", "widths", "outputs", "groups"):
        options[name] = [stage[name] for stage in stages]
    if any(not 0 < size <= _WIDEST for stage in stages for size in stage.values()):
        return None
    options |= _shortcuts(shapes, len(blocks)) | _special(shapes, blocks)
    return options | neck_options(shapes)


def _count(shapes: Mapping[str, tuple[int, ...]]) -> list[int]:
    blocks: list[int] = []
    while f"layer{len(blocks) + 1}.0.conv1.weight" in shapes and len(blocks) < 9:
        number = 0
        while f"layer{len(blocks) + 1}.{number}.conv1.weight" in shapes and number < _MOST_BLOCKS:
            number += 1
        blocks.append(number)
    return blocks


def _only_known_parts(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    for name in shapes:
        found = _KEY.fullmatch(name)
        if found:
            pattern = _BLOCK_PARTS if found[1] == "layer" else _NON_LOCAL_PARTS
            if not pattern.fullmatch(found[4]):
                return False
    return True


def _stem(shapes: Mapping[str, tuple[int, ...]]) -> Options:
    names = ["conv1.weight"] if "conv1.weight" in shapes else []
    while not (names and names[0] == "conv1.weight") and f"conv1.{3 * len(names)}.weight" in shapes:
        names.append(f"conv1.{3 * len(names)}.weight")
    kernel = shapes[names[0]][2]
    small = len(names) == 1 and kernel == 3
    return {
        "stem": [shapes[name][0] for name in names],
        "stem_kernel": kernel,
        "stem_norm": "batch" if "bn1.running_mean" in shapes else "instance",
        **({"stem_stride": 1, "stem_pool": "none"} if small else {}),
    }


def _stage(shapes: Mapping[str, tuple[int, ...]], prefix: str, block: str) -> dict[str, int]:
    entry = shapes[f"{prefix}conv1.weight"][0]
    if block == "basic":
        out = shapes[f"{prefix}conv2.weight"][0]
        return {"entries": entry, "widths": out, "outputs": out, "groups": entry // shapes[f"{prefix}conv2.weight"][1]}
    out = shapes[f"{prefix}conv3.weight"][0]
    width = shapes[f"{prefix}conv3.weight"][1]
    split = shapes.get(f"{prefix}conv2.conv.weight")
    if split is not None:
        groups = width // shapes[f"{prefix}conv2.fc1.weight"][1]
    else:
        groups = entry // shapes[f"{prefix}conv2.weight"][1]
    return {"entries": entry, "widths": width, "outputs": out, "groups": groups}


def _shortcuts(shapes: Mapping[str, tuple[int, ...]], stages: int) -> Options:
    average = any(f"layer{stage}.0.downsample.2.weight" in shapes for stage in range(1, stages + 1))
    shape = shapes.get("layer2.0.downsample.0.weight", (0, 0, 1, 1))
    return {"average_shortcut": average, "shortcut_kernel": 1 if average else shape[2]}


def _special(shapes: Mapping[str, tuple[int, ...]], blocks: list[int]) -> Options:
    names = [f"layer{stage}.{block}" for stage, count in enumerate(blocks, start=1) for block in range(count)]
    options: Options = {
        "ibn_a": [name for name in names if f"{name}.bn1.IN.weight" in shapes],
        "ibn_b": [name for name in names if f"{name}.IN.weight" in shapes],
    }
    for kind, part in (("conv", "se.fc1"), ("linear", "se.fc.0"), ("split", "conv2.fc1")):
        if f"layer1.0.{part}.weight" in shapes:
            options["se_widths"] = [shapes[f"layer{stage}.0.{part}.weight"][0] for stage in range(1, len(blocks) + 1)]
            options["se"] = kind if kind != "split" else ""
    if "layer1.0.conv2.conv.weight" in shapes:
        options["radix"] = shapes["layer1.0.conv2.conv.weight"][0] // shapes["layer1.0.conv3.weight"][1]
    counts = [0] * len(blocks)
    for stage in range(len(blocks)):
        while f"NL_{stage + 1}.{counts[stage]}.g.weight" in shapes and counts[stage] < blocks[stage]:
            counts[stage] += 1
    if any(counts):
        options["non_local"] = counts
        widths = [shapes.get(f"NL_{stage}.0.g.weight", (1,))[0] for stage in range(1, len(blocks) + 1)]
        options["non_local_widths"] = widths
    return options


def neck_options(shapes: Mapping[str, tuple[int, ...]]) -> Options:
    """Returns the options for the pooling and the neck that these shapes show.

    Raises:
        IndexError: A weight has too few dimensions.
    """
    options: Options = {"neck": "neck.norm.weight" in shapes}
    if "pool.p" in shapes:
        options["pool"] = "gem"
    weight = shapes.get("neck.embed.weight")
    if weight is not None:
        options["embedding"] = weight[0]
        options["embedding_kind"] = {2: "linear", 4: "conv"}[len(weight)]
        options["embedding_bias"] = "neck.embed.bias" in shapes
    return options
