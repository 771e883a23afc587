"""The neighbour graph on the disk: its state while it is made, and the whole; both carry their digest."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from sysu30k_bench.files import remove_quietly, write_atomically, writing_atomically
from sysu30k_bench.sealed import is_sealed, seal_file, seal_zip
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
    arrays = {}
    for number, top in enumerate(tops):
        arrays |= {f"position-{number}": top.position, f"score-{number}": top.score}
    np.savez(content, done=done, **arrays)
    write_atomically(path, seal_zip(content))


def read_state(path: Path, *tops: TopK) -> int | None:
    """Reads what `write_state` wrote into empty ones of the same shapes.

    Args:
        path: The file.
        tops: Are filled.

    Returns:
        How many parts are done; None where the file is missing, damaged, or of other shapes, and nothing is filled.
    """
    if not is_sealed(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as state:
            done = int(state["done"])
            found = [(state[f"position-{number}"], state[f"score-{number}"]) for number in range(len(tops))]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    for top, arrays in zip(tops, found, strict=True):
        for own, read in zip((top.position, top.score), arrays, strict=True):
            if (own.shape, own.dtype) != (read.shape, read.dtype):
                return None
    for top, arrays in zip(tops, found, strict=True):
        top.restore(*arrays)
    return done


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
