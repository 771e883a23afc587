"""The seeds that are kept in `tests/fuzz/seeds`: small files, larger ones packed by gzip."""

from __future__ import annotations

import gzip
from pathlib import Path

SEEDS = Path(__file__).parents[2] / "tests" / "fuzz" / "seeds"
LARGEST = 100_000
"""Bytes that a seed may take in the repository."""
_PACKED_ABOVE = 8192


def keep(target: str, name: str, content: bytes) -> bool:
    """Writes a seed; returns whether it is small enough."""
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(content, 9, mtime=0) if len(content) > _PACKED_ABOVE else content
    if len(packed) > LARGEST:
        return False
    (folder / (f"{name}.gz" if packed is not content else name)).write_bytes(packed)
    return True


def seeds_of(target: str) -> dict[str, bytes]:
    """Reads a target's seeds, by name."""
    paths = sorted((SEEDS / target).iterdir())
    return {
        path.name: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in paths
    }
