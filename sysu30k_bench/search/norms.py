"""Which embeddings can be ranked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.words import count

UNIT_TOLERANCE = {"float32": 1e-3, "float16": 1e-2}
"""How far the norm of a stored embedding may be from 1: a longer row would outrank by its length."""


def check_norms(norms: np.ndarray, name: Callable[[int], str], unit_tolerance: float | None) -> None:
    """Refuses rows that cannot be ranked.

    Args:
        norms: (N,) float64.
        name: Names a row for the message.
        unit_tolerance: Refuse rows whose norm differs from 1 by more; None takes rows of any length.

    Raises:
        IntegrityError: Some row is zero, NaN, infinite or not of unit length.
    """
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if len(bad):
        raise IntegrityError(
            f"{count(len(bad), 'embedding is', 'embeddings are')} zero, NaN or infinite; nothing was ranked",
            details=[name(int(row)) for row in bad],
            hint="export these images again, or check the network that made them",
        )
    long = np.flatnonzero(np.abs(norms - 1) > unit_tolerance) if unit_tolerance is not None else bad
    if len(long):
        raise IntegrityError(
            f"{count(len(long), 'embedding is', 'embeddings are')} not of unit length; nothing was ranked",
            details=[name(int(row)) for row in long],
            hint="the store was not written by this tool, or was changed: export again",
        )
