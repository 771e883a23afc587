"""What remains of a file once a network is filled, and whether its names explain it.

A tensor that was part of the model and is dropped changes the embedding without a word: a neck, an attention block, a
second branch. So whatever remains must be bookkeeping, a classifier, a part that only training uses, or another copy
of the same network; anything else stops the run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import torch

from sysu30k_bench.models.blueprint import COUNTER
from sysu30k_bench.models.card import Layout
from sysu30k_bench.models.roles import is_known_pair
from sysu30k_bench.models.tensors import FlatTensors

_BOOKKEEPING = re.compile(
    r"(?i)(.*\.)?(num_batches_tracked|n_averaged|num_updates|total_ops|total_params|relative_position_index|attn_mask|"
    r"relative_coords_table|position_ids|logit_scale|queue\w*|ptr|\w+_ptr|epoch|step|global_step|iter)"
)
_TRAINING_PARTS = re.compile(
    r"(?i)(.*\.)?("
    r"\w*projector\w*|(projection|prediction)_(head|mlp)\w*|proj_head|\w*predictor\w*|prototypes\w*|"
    r"dino_head|ibot_head|mask_head|decoder\w*|mask_token|\w*loss\w*|criterion\w*|centers?|memory(_bank)?|queue\w*|"
    r"online_classifier|linear_probe|aux\w*|momentum_classifier|discriminator\w*|arcface|margin"
    r")(\..*)?"
)
_HEAD = re.compile(r"(?i)(\w*classifiers?\w*|fc|heads?|cls|logits|linear|last_linear|online_head|id_fc|fc_query)")
_FRACTION_OF_A_COPY = 0.8


def unexplained(
    flat: FlatTensors,
    layout: Layout,
    prefix: str,
    used: Sequence[str],
    *,
    removed: AbstractSet[str] = frozenset(),
    chosen: bool = False,
) -> tuple[list[str], list[str]]:
    """Sorts what remains of a file.

    Args:
        flat: The file's tensors.
        layout: The layout by which they were read.
        prefix: The prefix below which it fits.
        used: Names of the tensors that the network took, as the file has them, without the prefix.
        removed: Names, without the prefix, of tensors of layers that were taken out of the network, or that the layout
            knows as a head which the chosen feature is before.
        chosen: Whether the user chose this copy among several.

    Returns:
        Names, without the prefix where they have it, of tensors that nothing explains, and of those that are explained.
    """
    taken = {prefix + name for name in used}
    rest = [name for name in flat.tensors if name not in taken]
    aside = {prefix + name for name in removed}
    open_ones = {name: flat.tensors[name] for name in rest if name not in aside and not name.endswith(COUNTER)}
    linear = _linear_heads(open_ones) if layout.heads else set()
    ignored = [re.compile(pattern) for pattern in layout.ignores]
    inner = _common(used)
    copies = [copy for copy in other_copies(flat, prefix, used) if chosen or is_known_pair(prefix + inner, copy)]
    strange: list[str] = []
    explained: list[str] = []
    home = flat.folder_of(prefix + used[0]) if used else ""
    for name in rest:
        inside = name[len(prefix) :] if name.startswith(prefix) else None
        own = _in_a_copy(name, copies, inner)
        relative = own if own is not None else inside
        known = (
            (own is not None and (prefix + own in taken or prefix + own in linear))
            or (relative is not None and any(pattern.fullmatch(relative) for pattern in ignored))
            or (relative is not None and relative in removed)
            or _BOOKKEEPING.fullmatch(name)
            or _TRAINING_PARTS.fullmatch(name if inside is None else inside)
            or name in linear
            or _is_beside(name, flat.folder_of(name), home)
        )
        (explained if known else strange).append(name if inside is None else inside)
    return strange, explained


def other_copies(flat: FlatTensors, prefix: str, used: Sequence[str]) -> list[str]:
    """Returns the prefixes at which most of the used tensors exist once more, in the same shapes.

    Args:
        flat: The file's tensors.
        prefix: The prefix below which the layout fits.
        used: Names of the tensors that the network took, as the file has them, without the prefix.
    """
    if not used:
        return []
    inner = _common(used)
    names = [name[len(inner) :] for name in used]
    found = []
    for other in flat.prefixes_of(names[0]):
        if other == prefix + inner or not names[0]:
            continue
        alike = sum(_same_shape(flat.tensors, other + name, prefix + inner + name) for name in names)
        if alike >= _FRACTION_OF_A_COPY * len(names):
            found.append(other)
    return found


def _same_shape(tensors: Mapping[str, torch.Tensor], one: str, other: str) -> bool:
    return one in tensors and tensors[one].shape == tensors[other].shape


def _common(names: Sequence[str]) -> str:
    """The prefix, ending in a dot, that all names share."""
    first, last = min(names), max(names)
    length = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[: first.rfind(".", 0, length) + 1]


def _is_beside(name: str, folder: str, home: str) -> bool:
    """A lone tensor of a mapping around the state dict, such as class weights, belongs to the training program."""
    return folder != home and home.startswith(folder) and "." not in name[len(folder) :]


def _in_a_copy(name: str, copies: Sequence[str], inner: str) -> str | None:
    """The name that a tensor of another copy has in this one, without the prefix; None for all others."""
    for copy in copies:
        if name.startswith(copy):
            return inner + name[len(copy) :]
        outer = copy.removesuffix(inner)
        if outer and outer != copy and name.startswith(outer):
            return name[len(outer) :]
    return None


def _linear_heads(tensors: Mapping[str, torch.Tensor]) -> set[str]:
    """Names of plain classifiers: `fc.weight`, `classifier.2.bias`, with nothing but linear layers below that name.

    Layers below it that the network has taken do not count: what follows them is a classifier for that.
    """
    groups: dict[str, list[str]] = {}
    for name in tensors:
        parts = name.split(".")
        at = next((position for position, part in enumerate(parts) if _HEAD.fullmatch(part)), None)
        if at is not None:
            groups.setdefault(".".join(parts[: at + 1]), []).append(name)
    return {name for members in groups.values() if _all_linear(tensors, members) for name in members}


def _all_linear(tensors: Mapping[str, torch.Tensor], names: Sequence[str]) -> bool:
    for name in names:
        parent, _, leaf = name.rpartition(".")
        weight = tensors.get(f"{parent}.weight")
        if leaf == "bias":
            fits = weight is not None and weight.dim() == 2 and tensors[name].shape == weight.shape[:1]
        else:
            fits = leaf in {"weight", "weight_v", "weight_g"} and tensors[name].dim() == 2
        if not fits:
            return False
    return True
