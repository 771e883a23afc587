"""Checkpoints in several files: an index in JSON says in which of them each tensor lies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from sysu30k_bench.errors import DataError, IntegrityError

INDEX_NAMES = (".safetensors.index.json", ".bin.index.json")
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.(?:safetensors|bin)")
_LARGEST_INDEX = 1 << 28


def is_index(path: Path) -> bool:
    """Says by its name whether a file is such an index."""
    return path.name.endswith(INDEX_NAMES)


def index_of_folder(folder: Path) -> Path | None:
    """Returns the only index in a folder, of safetensors before others; None where there is none, or several."""
    found = [path for path in folder.iterdir() if is_index(path) and path.is_file()]
    for ending in INDEX_NAMES:
        fitting = [path for path in found if path.name.endswith(ending)]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def shard_of(path: Path) -> tuple[int, int] | None:
    """Returns which of how many shards a file is by its name; None where it is no shard or the only one."""
    found = _SHARD.fullmatch(path.name)
    return (int(found[2]), int(found[3])) if found and int(found[3]) > 1 else None


def shard_files(index: Path) -> list[Path]:
    """Returns the files that an index names, sorted.

    Raises:
        DataError: One of them is missing.
        IntegrityError: The index is damaged, or names files outside of its folder.
    """
    return [index.parent / name for name in sorted(set(_weight_map(index).values()))]


def _weight_map(index: Path) -> dict[str, str]:
    hint = "download it again"
    if index.stat().st_size > _LARGEST_INDEX:
        raise IntegrityError(f"{index} is too large for an index of shards", hint=hint)
    try:
        content = json.loads(index.read_bytes())
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{index} is no JSON, or damaged", hint=hint) from error
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(file, str) for file in places.values()):
        raise IntegrityError(f"{index} has no `weight_map` with the file of each tensor", hint=hint)
    names = sorted(set(places.values()))
    outside = [name for name in names if "/" in name or "\\" in name or name in ("", ".", "..") or "\0" in name]
    if outside:
        raise IntegrityError(f"{index} names files outside of its folder", details=outside)
    missing = [name for name in names if not (index.parent / name).exists()]
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(names)} files that {index} names are missing",
            details=missing,
            hint="put all of them into the folder of the index",
        )
    return places


def read_shards(index: Path, read: Callable[[Path], Mapping[str, object]]) -> dict[str, object]:
    """Reads all shards into one dict.

    Args:
        index: The index.
        read: Reads one shard.

    Raises:
        DataError: A shard is missing.
        IntegrityError: The shards and the index contradict each other.
    """
    places = _weight_map(index)
    found: dict[str, object] = {}
    for file in shard_files(index):
        shard = read(file)
        twice = sorted(str(name) for name in shard if name in found)
        absent = sorted(name for name, place in places.items() if place == file.name and name not in shard)
        for names, said in ((twice, "holds tensors of another shard again"), (absent, "lacks tensors that are in it")):
            if names:
                raise IntegrityError(
                    f"{file} {said}, by {index.name}", details=names, hint="download all shards of one version"
                )
        found.update(shard)
    return found
