"""The neighbour graph on the disk: its parts while it is made, and the whole; all of them carry their digest."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import remove_quietly, write_atomically, writing_atomically
from sysu30k_bench.sealed import is_sealed, seal_file, seal_zip

GRAPH_NAME = "neighbours.h5"
_AGAIN = "run the same command again"


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


def write_part(path: Path, position: np.ndarray, score: np.ndarray) -> None:
    """Writes the neighbours of some consecutive rows.

    Args:
        path: The file.
        position: (n, k) int64.
        score: (n, k) float64.
    """
    content = io.BytesIO()
    np.savez(content, position=position, score=score)
    write_atomically(path, seal_zip(content))


def read_part(path: Path, rows: int, k: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Reads what `write_part` wrote.

    Args:
        path: The file.
        rows: n.
        k: Neighbours of each.

    Returns:
        Positions and scores; None where the file is missing, damaged, or of another shape.
    """
    if not is_sealed(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as part:
            position, score = part["position"], part["score"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return (position, score) if position.shape == score.shape == (rows, k) else None


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


def join_parts(folder: Path, parts: Mapping[int, tuple[Path, int]], kind: GraphKind) -> None:
    """Makes the whole of its parts, and removes all parts that lie in the folder.

    Args:
        folder: Where the graph goes.
        parts: By first row: the file and its rows.
        kind: Which graph it is.

    Raises:
        IntegrityError: A part is missing or damaged.
        DataError: The folder cannot be written.
    """
    with writing_atomically(folder / GRAPH_NAME) as unfinished:
        with h5py.File(unfinished, "w", libver="latest") as file:
            position = file.create_dataset("position", (kind.rows, kind.k), "i8")
            score = file.create_dataset("score", (kind.rows, kind.k), "f8")
            for first, (path, rows) in parts.items():
                part = read_part(path, rows, kind.k)
                if part is None:
                    raise IntegrityError(f"{path} is missing or damaged", hint=_AGAIN)
                position[first : first + rows], score[first : first + rows] = part
            file.attrs["store"] = np.bytes_(kind.store)
            file.attrs["name"] = np.bytes_(kind.name)
        seal_file(unfinished)
    for path in folder.glob("neighbours-*.npz"):
        remove_quietly(path)
