"""From images to a store: shard by shard, resumable, shared between processes."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from sysu30k_bench.data.image_digest import images_digest
from sysu30k_bench.data.images import DamagedImageError, ImageSource, decode
from sysu30k_bench.data.split import Split
from sysu30k_bench.embeddings.background import Background
from sysu30k_bench.embeddings.flight import Landing, in_flight, landing_of
from sysu30k_bench.embeddings.identity import StoreIdentity
from sysu30k_bench.embeddings.loading import Batch, load_batches
from sysu30k_bench.embeddings.manifest import Manifest, ShardEntry, read_manifest, refuse_other
from sysu30k_bench.embeddings.shard import Shard, encode_shard, read_shard, shard_name
from sysu30k_bench.errors import DataError, IntegrityError
from sysu30k_bench.files import remove_partials, write_atomically
from sysu30k_bench.models.embedder import Embedder, probe_dimension
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.words import count

SHARD_BYTES = 64 << 20
MAX_SHARD_ROWS = 8192


@dataclass(frozen=True)
class ExportSettings:
    """How to export; none of it changes an embedding's identity.

    Attributes:
        device: Where the network runs.
        batch_size: Images in one forward pass.
        workers: Decoding processes; None decides by itself.
        shard_rows: Rows of a new store's shards; None gives shards of about 64 MiB, at most 8,192 rows.
        ranks: This process among those that share the work.
    """

    device: torch.device
    batch_size: int = 64
    workers: int | None = None
    shard_rows: int | None = None
    ranks: Ranks = field(default_factory=Ranks)


@dataclass(frozen=True)
class ExportReport:
    """What an export did, over all processes.

    Attributes:
        images: Images embedded now.
        seconds: Time that took in this process.
        shards_reused: Shards that an earlier run had made.
        damaged: Keys of images that cannot be decoded, each with the reason.
    """

    images: int
    seconds: float
    shards_reused: int
    damaged: dict[str, str]


def default_shard_rows(dimension: int, dtype: str) -> int:
    """Returns how many rows make a shard of about 64 MiB, between 16 and 8,192."""
    return max(16, min(MAX_SHARD_ROWS, SHARD_BYTES // (dimension * np.dtype(dtype).itemsize)))


@dataclass(frozen=True)
class SplitJob:
    """A split to embed by one network.

    Attributes:
        split: The rows.
        source: Where the images' bytes are.
        embedder: The network, on `settings.device`.
        folder: The store's folder; made if need be.
        identity: What the embeddings are of.
        settings: How to export.
        progress: Receives images done and shards computed again.
    """

    split: Split
    source: ImageSource
    embedder: Embedder
    folder: Path
    identity: StoreIdentity
    settings: ExportSettings
    progress: Progress


def export_split(job: SplitJob) -> ExportReport:
    """Embeds a split into a store, or resumes where an earlier run stopped.

    Whole shards of the same identity are kept; every other is made. What is finished survives
    anything, since a shard takes its name only when all of its bytes are on the disk.

    Args:
        job: What to embed, by what, and where to.

    Returns:
        What was done. Damaged images are reported, not raised: the caller decides what they mean.

    Raises:
        UsageError: The folder holds embeddings of another model or data set.
        IntegrityError: Some embeddings are zero, NaN or infinite; the images are named.
        DataError: The folder cannot be written.
    """
    return drained(SplitExport(job).steps())


class SplitExport:
    """One split embedded by one network, planned and then made batch by batch; see `export_split`."""

    def __init__(self, job: SplitJob) -> None:
        self._folder = job.folder
        self._ranks = ranks = job.settings.ranks
        self._manifest = _plan(job)
        self._started = time.perf_counter()
        mine = range(ranks.rank, self._manifest.shard_count, ranks.world)
        self._kept = {index: entry for index in mine if (entry := _reusable(index, self._manifest, job))}
        missing = [index for index in mine if index not in self._kept]
        pending = sorted(index for part in ranks.gather(missing) for index in part)
        self._indices = pending[ranks.rank :: ranks.world]
        self._run = _Run(job, self._manifest)

    @property
    def batches(self) -> list[range]:
        """Positions of every batch that has to be made, in order."""
        return self._run.batches(self._indices)

    def steps(self, stream: Iterator[Batch] | None = None) -> Generator[None, None, ExportReport]:
        """Makes what is missing; stops after each batch, and returns the report.

        Args:
            stream: The decoded images of `batches`; decoded here where None.
        """
        made = yield from self._run.steps(self._indices, stream)
        entries = sorted(
            (entry for part in self._ranks.gather([*self._kept.values(), *made]) for entry in part),
            key=lambda pair: pair[0].first,
        )
        images = sum(sum(entry.rows for entry, _ in part) for part in self._ranks.gather(made))
        if self._ranks.first:
            whole = {"complete": True, "shards": [entry for entry, _ in entries]}
            self._manifest.model_copy(update=whole).write(self._folder)
        self._ranks.gather(None)
        damaged = {key: reason for _, per_shard in entries for key, reason in per_shard.items()}
        reused = len(entries) - sum(self._ranks.gather(len(made)))
        return ExportReport(images, time.perf_counter() - self._started, reused, damaged)


def drained(steps: Generator[None, None, Returned]) -> Returned:
    """Runs steps to their end, and returns what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            returned: Returned = end.value
            return returned


Made = tuple[ShardEntry, dict[str, str]]
Returned = TypeVar("Returned")


def _plan(job: SplitJob) -> Manifest:
    split, folder, identity, settings = job.split, job.folder, job.identity, job.settings
    existing = read_manifest(folder)
    refuse_other(folder, existing, identity)
    dimension = probe_dimension(job.embedder, settings.device)
    if existing is not None:
        if (existing.rows, existing.dimension) != (len(split), dimension):
            raise IntegrityError(
                f"{folder}: its manifest does not fit the split and the network", hint="delete the folder"
            )
        manifest = existing
    else:
        rows = settings.shard_rows or default_shard_rows(dimension, identity.dtype)
        manifest = Manifest(identity=identity, rows=len(split), dimension=dimension, shard_rows=rows)
    settings.ranks.gather(None)
    if settings.ranks.first:
        if folder.is_dir():
            remove_partials(folder)
        manifest.write(folder)
    settings.ranks.gather(None)
    return manifest


def _reusable(index: int, manifest: Manifest, job: SplitJob) -> Made | None:
    path = job.folder / shard_name(index)
    if not path.is_file():
        return None
    first = index * manifest.shard_rows
    span = min(manifest.shard_rows, manifest.rows - first)
    try:
        shard = read_shard(path, identity=manifest.identity.digest)
    except IntegrityError as error:
        job.progress.say(f"{error.message}; the shard is computed again")
        return None
    if (shard.first, shard.span, shard.embedding.shape[1]) != (first, span, manifest.dimension):
        job.progress.say(f"{path} does not fit the plan; the shard is computed again")
        return None
    if shard.images != images_digest(job.source, job.split.keys[first : first + span]):
        job.progress.say(f"the images of {path} were changed; the shard is computed again")
        return None
    if any(not _still_damaged(job, key) for key in shard.damaged):
        return None
    return _entry(index, shard), shard.damaged


def _still_damaged(job: SplitJob, key: str) -> bool:
    size = job.embedder.input
    try:
        decode(job.source.read(key), size.height, size.width, size.interpolation)
    except DamagedImageError:
        return True
    return False


def _entry(index: int, shard: Shard) -> ShardEntry:
    return ShardEntry(
        file=shard_name(index),
        first=shard.first,
        rows=len(shard.key),
        content_sha256=shard.content_digest,
        damaged=len(shard.damaged),
    )


class _Run:
    """One process's pass over the shards that it has to make."""

    def __init__(self, job: SplitJob, manifest: Manifest) -> None:
        self._job = job
        self._keys = job.split.keys
        self._cameras = job.split.camera_ids
        self._manifest = manifest

    def batches(self, indices: Sequence[int]) -> list[range]:
        return [batch for index in indices for batch in _cut(self._span(index), self._job.settings.batch_size)]

    def steps(self, indices: Sequence[int], stream: Iterator[Batch] | None) -> Generator[None, None, list[Made]]:
        spans = [self._span(index) for index in indices]
        if stream is None:
            gpu = self._job.settings.device.type == "cuda"
            workers, wanted = self._job.settings.workers, self._job.embedder.input
            batches = self.batches(indices)
            stream = load_batches(self._job.source, self._keys, batches, wanted, workers=workers, gpu=gpu)
        flights = in_flight(stream, self._launch)
        self._expect(spans[0] if spans else range(0))
        self._job.progress.begin(self._manifest.identity.role, sum(len(span) for span in spans), "images")
        with Background[Made]() as writing:
            for index, span, following in zip(indices, spans, [*spans, range(0)][1:], strict=True):
                self._expect(following)
                buffer = np.empty((len(span), self._manifest.dimension), self._manifest.identity.dtype)
                kept: list[int] = []
                damaged: dict[int, str] = {}
                for _ in _cut(span, self._job.settings.batch_size):
                    batch, vectors = next(flights)
                    self._require_finite(vectors, batch.positions)
                    buffer[len(kept) : len(kept) + len(vectors)] = vectors
                    kept += batch.positions
                    damaged |= batch.damaged
                    self._job.progress.advance(len(batch.positions) + len(batch.damaged))
                    yield
                writing.do(partial(self._write, index, span, buffer[: len(kept)], kept, damaged))
            made = writing.results()
        self._job.progress.end()
        return made

    def _expect(self, span: range) -> None:
        """Within a batch images are read in the order of the split; the disk may fetch a shard's in its own."""
        if len(span):
            self._job.source.expect(self._keys[span.start : span.stop])

    def _span(self, index: int) -> range:
        first = index * self._manifest.shard_rows
        return range(first, min(first + self._manifest.shard_rows, self._manifest.rows))

    def _launch(self, batch: Batch) -> Landing:
        if not batch.positions:
            return lambda: np.empty((0, self._manifest.dimension), np.float32)
        cameras = torch.from_numpy(self._cameras[batch.positions])
        images = batch.images.to(self._job.settings.device, non_blocking=True)
        return landing_of(_forward(self._job.embedder, images, cameras))

    def _require_finite(self, vectors: np.ndarray, positions: list[int]) -> None:
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            bad = [self._keys[positions[row]] for row in np.flatnonzero(~finite)]
            said = count(len(bad), "embedding of this batch is", "embeddings of this batch are")
            raise IntegrityError(
                f"{said} zero, NaN or infinite",
                details=bad,
                hint="check these images and the network; with bf16, try fp32. Finished shards are kept",
            )

    def _write(self, index: int, span: range, vectors: np.ndarray, kept: list[int], damaged: dict[int, str]) -> Made:
        shard = Shard(
            first=span.start,
            span=len(span),
            embedding=vectors,
            key=[self._keys[position] for position in kept],
            person_id=self._job.split.person_ids[kept],
            camera_id=self._job.split.camera_ids[kept],
            damaged={self._keys[position]: reason for position, reason in damaged.items()},
            images=images_digest(self._job.source, self._keys[span.start : span.stop]),
        )
        content = encode_shard(shard, self._manifest.identity.digest)
        write_atomically(self._job.folder / shard_name(index), content)
        return _entry(index, shard), shard.damaged


def _cut(span: range, size: int) -> list[range]:
    return [span[start : start + size] for start in range(0, len(span), size)]


def _forward(embedder: Embedder, images: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
    try:
        return embedder(images, cameras)  # type: ignore[no-any-return]
    except torch.OutOfMemoryError as error:
        if len(images) == 1:
            raise DataError("the device has no memory for a single image", hint="use --device cpu") from error
    half = len(images) // 2
    torch.cuda.empty_cache()
    halves = ((images[:half], cameras[:half]), (images[half:], cameras[half:]))
    return torch.cat([_forward(embedder, *part) for part in halves])
