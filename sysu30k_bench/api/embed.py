"""The images of a split through a network in memory, shared among processes where they are asked to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from sysu30k_bench.api.transformed import ImageTransform, transformed_batches
from sysu30k_bench.data.images import ImageSource
from sysu30k_bench.data.split import Split
from sysu30k_bench.embeddings.loading import Batch, load_batches
from sysu30k_bench.embeddings.shard import Labels
from sysu30k_bench.errors import BenchError, DataError, IntegrityError, UsageError
from sysu30k_bench.models.embedder import Embedder, probe_dimension
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.words import count

_ROWS_AT_ONCE = 8192
"""What the processes send each other at once."""


@dataclass(frozen=True)
class EmbedSettings:
    """How to embed.

    Attributes:
        device: Where the network is.
        batch_size: Images in one forward pass.
        workers: Decoding processes; None decides by itself.
        prepare: The caller's own function for images.
        skip_damaged: Omit images that cannot be decoded.
        ranks: This process among those that share the work; each of them gets all embeddings.
    """

    device: torch.device
    batch_size: int
    workers: int | None
    prepare: ImageTransform | None
    skip_damaged: bool
    ranks: Ranks


def embed_split(
    embedder: Embedder, split: Split, source: ImageSource, settings: EmbedSettings, progress: Progress
) -> tuple[np.ndarray, Labels]:
    """Embeds a split.

    Args:
        embedder: The network with its views.
        split: The rows.
        source: Where the images' bytes are.
        settings: How to.
        progress: Receives the number of finished images.

    Returns:
        (n, D) float32 of unit length, in the order of the split, and their labels.

    Raises:
        IntegrityError: Embeddings are zero, NaN or infinite, or images are damaged; they are named.
        DataError: The device has too little memory.
        UsageError: The network or the caller's function returns something else than it must.
    """
    ranks = settings.ranks
    mine: tuple[np.ndarray, np.ndarray, dict[int, str]] | None = None
    fault: BenchError | None = None
    try:
        mine = _embed_share(embedder, split, source, settings, progress)
    except BenchError as error:
        if ranks.world == 1:
            raise
        fault = error
    faults = [one for one in ranks.gather((fault,)) if one[0] is not None]
    if faults or mine is None:  # a process that raised alone would leave the others waiting
        raise fault or faults[0][0] or IntegrityError("another process failed")
    rows, positions, damaged = _joined(*mine, ranks)
    if damaged and not settings.skip_damaged:
        raise IntegrityError(
            f"{count(len(damaged), 'image')} cannot be decoded",
            details=[f"{split.keys[position]}: {reason}" for position, reason in sorted(damaged.items())],
            hint="restore them, or continue without them by skip_damaged=True",
        )
    labels = Labels(
        [split.keys[position] for position in positions.tolist()],
        split.person_ids[positions],
        split.camera_ids[positions],
        {split.keys[position]: reason for position, reason in sorted(damaged.items())},
    )
    return rows, labels


def _embed_share(
    embedder: Embedder, split: Split, source: ImageSource, settings: EmbedSettings, progress: Progress
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    ranks, size = settings.ranks, settings.batch_size
    spans = [range(start, min(start + size, len(split))) for start in range(0, len(split), size)]
    spans = spans[ranks.rank :: ranks.world]
    total = sum(len(span) for span in spans)
    rows = np.empty((total, 0), np.float32)
    positions = np.empty(total, np.int64)
    damaged: dict[int, str] = {}
    done = 0
    progress.begin(split.role, total, "images")
    for batch in _batches(embedder, split, source, spans, settings):
        damaged |= batch.damaged
        if batch.positions:
            vectors = _embedded(embedder, batch, split, settings.device)
            if not done:
                rows = np.empty((total, vectors.shape[1]), np.float32)
            if vectors.shape[1] != rows.shape[1]:  # numpy would spread one number over a whole row
                raise UsageError(
                    f"the network returns {rows.shape[1]} numbers an image, and later {vectors.shape[1]}",
                    hint="every image's embedding must have the same length",
                )
            rows[done : done + len(vectors)] = vectors
            positions[done : done + len(vectors)] = batch.positions
            done += len(vectors)
        progress.advance(len(batch.positions) + len(batch.damaged))
    progress.end()
    return rows[:done], positions[:done], damaged


def _batches(
    embedder: Embedder, split: Split, source: ImageSource, spans: list[range], settings: EmbedSettings
) -> Iterator[Batch]:
    if settings.prepare is not None:
        return transformed_batches(source, split.keys, spans, settings.prepare, settings.workers or 0)
    probe_dimension(embedder, settings.device)  # says what is wrong before anything is decoded
    return load_batches(source, split.keys, spans, embedder.input, workers=settings.workers)


def _embedded(embedder: Embedder, batch: Batch, split: Split, device: torch.device) -> np.ndarray:
    try:
        vectors: np.ndarray = embedder(batch.images.to(device)).cpu().numpy()
    except torch.OutOfMemoryError as error:
        raise DataError(
            f"the device has no memory for {count(len(batch.positions), 'image')} at once", hint="lower batch_size"
        ) from error
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        bad = [split.keys[batch.positions[row]] for row in np.flatnonzero(~finite).tolist()]
        raise IntegrityError(
            f"{count(len(bad), 'embedding is', 'embeddings are')} zero, NaN or infinite",
            details=bad,
            hint="the network has diverged, or cannot be evaluated in this mode",
        )
    return vectors


def _joined(
    rows: np.ndarray, positions: np.ndarray, damaged: dict[int, str], ranks: Ranks
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Brings all processes' rows together, in the order of the split, some at a time."""
    if ranks.world == 1:
        return rows, positions, damaged
    everything: dict[int, str] = {}
    for reasons in ranks.gather(damaged):
        everything |= reasons
    counts = ranks.gather((len(rows), rows.shape[1]))
    width = max(width for _, width in counts)
    places = np.concatenate(ranks.gather(positions))
    order = np.empty(len(places), np.int64)
    order[np.argsort(places, kind="stable")] = np.arange(len(places))
    starts = np.cumsum([0, *(number for number, _ in counts)])
    whole = np.empty((len(places), width), np.float32)
    for first in range(0, max(number for number, _ in counts), _ROWS_AT_ONCE):
        for start, part in zip(starts.tolist(), ranks.gather(rows[first : first + _ROWS_AT_ONCE]), strict=False):
            if len(part):
                whole[order[start + first : start + first + len(part)]] = part
    return whole, np.sort(places), everything
