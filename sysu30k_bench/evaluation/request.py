"""The requests of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from sysu30k_bench.data.split import TestSet
from sysu30k_bench.models.backends.registry import BackendChoice
from sysu30k_bench.models.card import FeatureKind, Flip
from sysu30k_bench.search.engines.choose import EngineName
from sysu30k_bench.search.engines.engine import FilterName

GIGABYTE = 1_000_000_000


@dataclass(frozen=True)
class ExportRequest:
    """What to embed, with what, and where to put it.

    Attributes:
        checkpoint: A weights file, or a features file.
        data: The data set's folder; not needed for a features file that brings its own labels.
        lists: A test set that is open already, in place of `data`.
        dataset: The benchmark's name; found from the layout where None.
        split: Which of the benchmark's standard splits, from 1; None for the first, or where there is only one.
        adapter: Name of a card or path of a `.toml`; found from the file where None.
        model: `SOURCE:NAME` of a network, in place of a card.
        output: The run folder; named after checkpoint and identity, below `runs/`, where None.
        above: The folder above the run folder, where `output` is None.
        feature: Layer to take in place of the card's.
        flip: Treatment of the mirrored view in place of the card's.
        input: Keys of the card's `[input]` to replace: height, width, interpolation, channels, scale, mean, std.
        weights: Which of several copies of the network in the file; the one that its project reports where None.
        camera: Camera, counted from 1, that every image gets where the network takes one; the data set's where None.
        full_logits: Store all logits, not the shorter form of the same geometry.
        network_options: Options of the card's network to set or replace, such as the last stride.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        batch_size: Images in one forward pass; None chooses by device.
        workers: Decoding processes; None decides by itself.
        shard_rows: Rows of a shard; None chooses by width.
        compute: Arithmetic of the network.
        backend: What runs the network; `auto` takes what a run folder was begun with, otherwise tries what is installed
            where the run is long enough to gain by it.
        storage: How embeddings are stored.
        limit: Images to keep of each role; the result is not official.
        distractors: Distractors to keep, a fixed part of them; the result is not official.
        allow_partial: Go on with a network that the file does not fill; the result is not official.
        skip_damaged: Go on without the images that cannot be decoded; the result is not official.
        random_weights: Leave the network at seeded random weights: the control.
    """

    checkpoint: Path
    data: Path | None = None
    lists: TestSet | None = None
    dataset: str | None = None
    split: int | None = None
    adapter: str | None = None
    model: str | None = None
    output: Path | None = None
    above: Path = Path("runs")
    feature: FeatureKind | None = None
    flip: Flip | None = None
    input: Mapping[str, JsonValue] = field(default_factory=dict)
    weights: str | None = None
    camera: int | None = None
    full_logits: bool = False
    network_options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    shard_rows: int | None = None
    compute: Literal["fp32", "bf16"] = "fp32"
    backend: BackendChoice = "auto"
    storage: Literal["float32", "float16"] = "float32"
    limit: int | None = None
    distractors: int | None = None
    allow_partial: bool = False
    skip_damaged: bool = False
    random_weights: bool = False


@dataclass(frozen=True)
class SearchRequest:
    """How to search.

    Attributes:
        engine: `auto`, `faiss` or `torch`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        filter: Arithmetic of the torch engine's filter: `auto`, `float32`, `bf16` or `int8`.
        memory: Bytes that the search may use for its blocks.
        top_k: Gallery images to list for each query.
    """

    engine: EngineName = "auto"
    device: str = "auto"
    filter: FilterName = "auto"
    memory: int = 2 * GIGABYTE
    top_k: int = 20


@dataclass(frozen=True)
class EvalRequest:
    """The whole job.

    Attributes:
        export: What to embed.
        search: How to search.
        control: Evaluate the same network with random weights beside it.
        every_split: Evaluate each of the benchmark's standard splits, and average; `export.split` is then ignored and
            `export.output` is the folder above the runs.
    """

    export: ExportRequest
    search: SearchRequest = SearchRequest()
    control: bool = False
    every_split: bool = False
