"""Which architectures of timm and torchvision have a file's tensors, without building hundreds of networks.

`catalogue.toml` lists, for every architecture, how many tensors it has without its classifier and how many numbers
they hold. What it proposes is then built, and compared name by name and shape by shape, so that a newer package whose
networks differ is at worst not recognised.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib import resources

import torch
from torch import nn

from sysu30k_bench.errors import BenchError
from sysu30k_bench.models.card import Network
from sysu30k_bench.models.sources import build_trunk

_DERIVED = re.compile(
    r"(.*\.)?(num_batches_tracked|relative_position_index|attn_mask|relative_coords_table)|AuxLogits\..*|aux\d\..*"
)
_CLASSIFIER = re.compile(r"(head|heads|fc|classifier|last_linear|head_dist|heads_dist|aux_head)\..*")
_SIZED = re.compile(r".*(pos_embed|pos_embedding|relative_position_bias_table).*")
_TRIED = 12
_KEPT = 32


def signature(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Returns how many tensors a network has without its classifier, and how many numbers they hold.

    Numbers of position embeddings do not count, for they depend on the size of the images.

    Args:
        shapes: Shapes by name.
    """
    trunk = {name: shape for name, shape in shapes.items() if not _DERIVED.fullmatch(name)}
    trunk = {name: shape for name, shape in trunk.items() if not _CLASSIFIER.fullmatch(name)}
    numbers = sum(torch.Size(shape).numel() for name, shape in trunk.items() if not _SIZED.fullmatch(name))
    return f"{len(trunk)}:{numbers}"


def matching(package: str, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Returns the architectures whose every tensor a file holds in its shape, the plainest name first.

    Args:
        package: `timm` or `torchvision`.
        tensors: The file's tensors by that package's names.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    proposed = _catalogue().get(package, {}).get(signature(shapes), "").split()
    plain = sorted(proposed, key=lambda name: (name.startswith(("tf_", "test_")), "distilled" in name, len(name), name))
    return [name for name in plain[:_TRIED] if _holds(shapes, architecture_shapes(f"{package}:{name}"))]


def _holds(shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> bool:
    needed = {name: shape for name, shape in wanted.items() if not _DERIVED.fullmatch(name)}
    return bool(needed) and all(shapes.get(name) == shape for name, shape in needed.items())


def built(network: Network) -> nn.Module:
    """Builds a network of timm or torchvision without its classifier, also where its constructor needs real tensors.

    Args:
        network: Its source and options.

    Raises:
        BenchError: It cannot be built.
    """
    try:
        return build_trunk(network)
    except BenchError:  # constructors that look at values fail on the meta device
        with torch.device("cpu"):
            return build_trunk(network)


@lru_cache(maxsize=_KEPT)
def architecture_shapes(source: str) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of an architecture's tensors by name; nothing where it cannot be built.

    Args:
        source: Such as `timm:efficientnet_b0`.
    """
    try:
        with torch.device("meta"):
            network = built(Network(source=source))
    except BenchError:
        return {}
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@cache
def _catalogue() -> dict[str, dict[str, str]]:
    text = resources.files(__package__).joinpath("catalogue.toml").read_text("utf-8")
    tables: dict[str, dict[str, dict[str, str]]] = tomllib.loads(text)
    return {
        package: {f"{count}:{numbers}": names for count, row in table.items() for numbers, names in row.items()}
        for package, table in tables.items()
    }


def written(packages: Mapping[str, Iterable[str]]) -> str:
    """Regenerates the text of `catalogue.toml`.

    Args:
        packages: The architectures of each package, such as `{"timm": timm.list_models()}`.
    """
    lines = []
    for package, architectures in packages.items():
        table: dict[int, dict[int, list[str]]] = {}
        for name in architectures:
            shapes = architecture_shapes(f"{package}:{name}")
            if shapes:
                count, _, numbers = signature(shapes).partition(":")
                table.setdefault(int(count), {}).setdefault(int(numbers), []).append(name)
        lines.append(f"[{package}]")
        for size, row in sorted(table.items()):
            cells = ", ".join(f'{total} = "{" ".join(names)}"' for total, names in sorted(row.items()))
            lines.append(f"{size} = {{{cells}}}")
        lines.append("")
    return "\n".join(lines)
