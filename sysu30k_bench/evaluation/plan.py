"""Estimate of a run's cost before it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from sysu30k_bench.data.split import ROLES
from sysu30k_bench.embeddings.export import default_shard_rows
from sysu30k_bench.evaluation.embedding.export_step import PreparedExport, reasons_against
from sysu30k_bench.evaluation.embedding.speed import measure_speed
from sysu30k_bench.evaluation.request import SearchRequest
from sysu30k_bench.models.embedder import probe_dimension

_LABEL_BYTES = 64


class Plan(BaseModel):
    """The estimate.

    Attributes:
        dataset: The benchmark.
        adapter: The card.
        assumes: How the card was found, the input, the feature, the flip and what was assumed, as a run prints them.
        query: Query images.
        gallery: Gallery images.
        dimension: Width of an embedding.
        shards: Shards of both stores.
        disk_bytes: Room that both stores take.
        disk_free_bytes: Room that there is.
        memory_bytes: Working memory on top of the network: a shard being filled, or the search's blocks.
        backend: What would run the network.
        images_per_second: By a trial of a few seconds on images of the run, network and decoding apart.
        embed_seconds: Time for all images at that speed, in one process.
        run_folder: Where everything would go.
        not_official_because: Why the result would not be official.
    """

    dataset: str
    adapter: str
    assumes: list[str]
    query: int
    gallery: int
    dimension: int
    shards: int
    disk_bytes: int
    disk_free_bytes: int
    memory_bytes: int
    backend: str
    images_per_second: float
    embed_seconds: float
    run_folder: str
    not_official_because: list[str]


def plan(prepared: PreparedExport, search: SearchRequest, *, control: bool = False) -> Plan:
    """Estimates a run; embeds images for a few seconds to learn the speed, and writes nothing.

    Args:
        prepared: The export, ready to start.
        search: How it would search.
        control: Whether the random control would run beside it.
    """
    request, test_set = prepared.request, prepared.test_set
    dimension = probe_dimension(prepared.model.embedder, prepared.device)
    shard_rows = request.shard_rows or default_shard_rows(dimension, request.storage)
    counts = {role: len(test_set.split(role)) for role in ROLES}
    row_bytes = dimension * np.dtype(request.storage).itemsize
    settings = prepared.settings
    speed = measure_speed(test_set, prepared.model.embedder, prepared.device, settings.batch_size)
    seconds = sum(speed.seconds(number, settings.workers) for number in counts.values()) if speed else 0.0
    total = sum(counts.values()) * (2 if control else 1)
    return Plan(
        dataset=test_set.dataset,
        adapter=prepared.model.card.name,
        assumes=prepared.summary.splitlines(),
        query=counts["query"],
        gallery=counts["gallery"],
        dimension=dimension,
        shards=sum(-(-count // shard_rows) for count in counts.values()) * (2 if control else 1),
        disk_bytes=total * (row_bytes + _LABEL_BYTES),
        disk_free_bytes=shutil.disk_usage(_existing(prepared.folder.path)).free,
        memory_bytes=max(4 * shard_rows * row_bytes, search.memory),
        backend=prepared.backend.name,
        images_per_second=sum(counts.values()) / seconds if seconds else 0.0,
        embed_seconds=seconds * (2 if control else 1),
        run_folder=str(prepared.folder.path),
        not_official_because=reasons_against(prepared),
    )


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
