"""The neighbour graph on the disk: its state while it is made, and the whole; both carry their digest."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from sysu30k_bench.files import remove_quietly, write_atomically, writing_atomically
from sysu30k_bench.sealed import is_sealed, seal_file, seal_zip
from sysu30k_bench.search.exact.state_file import is_count, is_top, read_arrays
from sysu30k_bench.search.exact.topk import TopK

GRAPH_NAME = "neighbours.h5"


@dataclass(frozen=True)
class GraphKind:
    """Which graph it is.

    Attributes:
        name: Stands for everything on which it depends.
        store: Digest of the identity of the embeddings.
        rows: G.
        k: Neighbours of each row.
    """

    name: str
    store: str
    rows: int
    k: int


def write_state(path: Path, done: int, *tops: TopK) -> None:
    """Writes what one process has found so far.

    Args:
        path: The file.
        done: Parts that it has finished.
        tops: What it knows of every row, from the pairs of those parts.
    """
    content = io.BytesIO()
    arrays: dict[str, np.ndarray] = {"done": np.array(done)}
    for number, top in enumerate(tops):
        arrays |= {f"position-{number}": top.position, f"score-{number}": top.score}
    np.savez(content, **arrays)  # type: ignore[arg-type]
    write_atomically(path, seal_zip(content))


def read_state(path: Path, parts: int, *tops: TopK) -> int | None:
    """Reads what `write_state` wrote into empty ones of the same shapes.

    Args:
        path: The file.
        parts: How many there are to be done.
        tops: Are filled.

    Returns:
        How many parts are done; None where the file is missing, damaged, or cannot be of this work, and nothing is
        filled.
    """
    names = [f"{kind}-{number}" for number in range(len(tops)) for kind in ("position", "score")]
    arrays = read_arrays(path, ["done", *names])
    if arrays is None or not is_count(arrays[0], parts):
        return None
    pairs = list(zip(arrays[1::2], arrays[2::2], strict=True))
    for top, pair in zip(tops, pairs, strict=True):
        if not is_top(*pair, (top.position, top.score), len(top.position)):
            return None
    for top, pair in zip(tops, pairs, strict=True):
        top.restore(*pair)
    return int(arrays[0])


def is_finished(folder: Path, kind: GraphKind) -> bool:
    """Says whether a folder holds the whole graph of this kind, undamaged."""
    path = folder / GRAPH_NAME
    if not is_sealed(path):
        return False
    try:
        with h5py.File(path) as file:
            return bytes(file.attrs["name"]).decode("ascii") == kind.name
    except (OSError, KeyError, ValueError, TypeError):
        return False


def write_graph(folder: Path, top: TopK, kind: GraphKind) -> None:
    """Writes the whole, and removes all states that lie in the folder.

    Args:
        folder: Where the graph goes.
        top: The neighbours of every row.
        kind: Which graph it is.

    Raises:
        DataError: The folder cannot be written.
    """
    with writing_atomically(folder / GRAPH_NAME) as unfinished:
        with h5py.File(unfinished, "w", libver="latest") as file:
            file.create_dataset("position", data=top.position)
            file.create_dataset("score", data=top.score)
            file.attrs["store"] = np.bytes_(kind.store)
            file.attrs["name"] = np.bytes_(kind.name)
        seal_file(unfinished)
    for path in folder.glob("neighbours-*.npz"):
        remove_quietly(path)
