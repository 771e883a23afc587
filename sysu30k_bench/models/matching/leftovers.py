"""What remains of a file once a network is filled, and whether its names explain it.

A tensor that was part of the model and is dropped changes the embedding without a word: a neck, an attention block, a
second branch. So whatever remains must be bookkeeping, a classifier, a part that only training uses, or another copy
of the same network; anything else stops the run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

import torch

from sysu30k_bench.models.card import Layout
from sysu30k_bench.models.matching.blueprint import COUNTER
from sysu30k_bench.models.matching.flat_tensors import FlatTensors
from sysu30k_bench.models.matching.roles import is_known_pair

_BOOKKEEPING = re.compile(
    r"(?i)(.*\.)?(num_batches_tracked|relative_position_index|attn_mask|relative_coords_table|position_ids|mask_token|"
    r"queue\w*)"
)
_COUNTS = re.compile(
    r"(?i)(.*\.)?(n_averaged|num_updates|total_ops|total_params|logit_scale|ptr|\w+_ptr|epoch|step|global_step|iter)"
)
_TRAINING_PARTS = re.compile(
    r"(?i)(?P<part>(?P<parent>.*\.)?(?:"
    r"\w*projector\w*|(?:projection|prediction)_(?:head|mlp)\w*|proj_head|\w*predictor\w*|prototypes\w*|"
    r"dino_head|ibot_head|mask_head|decoder\w*|(?P<loss>\w*loss\w*|criterion\w*|centers?|memory(?:_bank)?|arcface|margin)|"
    r"online_classifier|linear_probe|aux(?:iliary)?_?(?:heads?|logits|classifiers?)?\d*|momentum_classifier|"
    r"discriminator\w*"
    r"))(?:\..*)?"
)
_STATISTICS = ("running_mean", "running_var")
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
) -> tuple[list[str], list[str], dict[str, int]]:
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
        Names, without the prefix where they have it, of tensors that nothing explains; of those that are explained; and
        the parts among these, with their numbers of tensors, that nothing but their own names explains.
    """
    taken = {prefix + name for name in used}
    rest = [name for name in flat.tensors if name not in taken]
    aside = {prefix + name for name in removed}
    open_ones = {name: flat.tensors[name] for name in rest if name not in aside and not name.endswith(COUNTER)}
    linear = _linear_heads(open_ones) if layout.heads else {}
    ignored = [re.compile(pattern) for pattern in layout.ignores]
    inner = _common(used)
    copies = [copy for copy in other_copies(flat, prefix, used) if chosen or is_known_pair(prefix + inner, copy)]
    owns = {name: _in_a_copy(name, copies, inner) for name in rest}
    here = {name: own if own is not None else name.removeprefix(prefix) for name, own in owns.items()}
    parts = _training_parts(here.values(), used, inner)
    strange: list[str] = []
    explained: list[str] = []
    guessed: Counter[str] = Counter()
    home = flat.folder_of(prefix + used[0]) if used else ""
    for name in rest:
        inside = name[len(prefix) :] if name.startswith(prefix) else None
        own = owns[name]
        relative = own if own is not None else inside
        known = (
            (own is not None and (prefix + own in taken or prefix + own in linear))
            or (relative is not None and any(pattern.fullmatch(relative) for pattern in ignored))
            or (relative is not None and relative in removed)
            or is_bookkeeping(name)
            or (_is_count(name) and flat.tensors[name].numel() <= 1)
            or _is_beside(name, flat.folder_of(name), home)
        )
        guess = None if known else linear.get(name, parts.get(here[name]))
        (strange if not known and guess is None else explained).append(name if inside is None else inside)
        if guess:
            guessed[guess] += 1
    patterns = [re.compile(pattern) for pattern in layout.requires] if guessed else []
    marks = {name for name in here.values() if any(pattern.fullmatch(name) for pattern in patterns)}
    told = {part for part in guessed if any(mark.startswith(f"{part}.") for mark in marks)}
    return strange, explained, {part: count for part, count in guessed.items() if part not in told}


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


@lru_cache(maxsize=1 << 15)
def _training_part(name: str) -> re.Match[str] | None:
    return _TRAINING_PARTS.fullmatch(name)


@lru_cache(maxsize=1 << 15)
def is_bookkeeping(name: str) -> bool:
    """Returns whether a tensor, by its name, is a counter, a buffer that is computed, or the like: no weight."""
    return _BOOKKEEPING.fullmatch(name) is not None


@lru_cache(maxsize=1 << 15)
def _is_count(name: str) -> bool:
    return _COUNTS.fullmatch(name) is not None


def _training_parts(names: Iterable[str], used: Sequence[str], inner: str) -> dict[str, str]:
    """The tensors of parts that, by their names, training alone uses, each with its part.

    What lies inside a module that the network takes is none, and neither is a loss that normalises with statistics.
    """
    inside = tuple({inner + name[len(inner) :].partition(".")[0] + "." for name in used if "." in name[len(inner) :]})
    found: dict[str, str] = {}
    no_loss: set[str] = set()
    for name in names:
        match = _training_part(name)
        if match and not match["part"].startswith(inside):
            found[name] = match["part"]
            if match["loss"] and name.endswith(_STATISTICS):
                no_loss.add(match["part"])
    return {name: part for name, part in found.items() if part not in no_loss}


def _linear_heads(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Names of plain classifiers: `fc.weight`, `classifier.2.bias`, with nothing but linear layers below that name.

    Layers below it that the network has taken do not count: what follows them is a classifier for that. A layer of
    whose output another classifier is made is an embedding and none itself.

    Returns:
        Names, each with its head where that has several layers of which one continues another, else with nothing.
    """
    groups: dict[str, list[str]] = {}
    for name in tensors:
        parts = name.split(".")
        at = next((position for position, part in enumerate(parts) if _HEAD.fullmatch(part)), None)
        if at is not None:
            groups.setdefault(".".join(parts[: at + 1]), []).append(name)
    heads = {head: members for head, members in groups.items() if _all_linear(tensors, members)}
    takers: dict[int, set[str]] = {}
    for head, members in heads.items():
        for _, width in _shapes(tensors, members):
            takers.setdefault(width, set()).add(head)
    found: dict[str, str] = {}
    for head, members in heads.items():
        followed = [takers.get(out, set()) for out, width in _shapes(tensors, members) if out != width]
        if not any(len(heads_after) > (head in heads_after) for heads_after in followed):
            within = any(head in heads_after for heads_after in followed)
            found |= dict.fromkeys(members, head if within else "")
    return found


def _shapes(tensors: Mapping[str, torch.Tensor], names: Sequence[str]) -> list[tuple[int, ...]]:
    return [tuple(tensors[name].shape) for name in names if tensors[name].dim() == 2]


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
