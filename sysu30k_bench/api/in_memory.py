"""The evaluation of a network in memory, as in the middle of a training: nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sysu30k_bench.api.embed import EmbedSettings, embed_split
from sysu30k_bench.api.guard import InMemory, Network, untouched, unwrapped
from sysu30k_bench.api.ranked import result_of
from sysu30k_bench.api.result import Result
from sysu30k_bench.api.transformed import ImageTransform
from sysu30k_bench.api.views import View, view_of
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.data.split import ROLES, Role, TestSet
from sysu30k_bench.data.subset import part_of
from sysu30k_bench.embeddings.shard import Labels
from sysu30k_bench.errors import UsageError
from sysu30k_bench.evaluation.embedding.list_facts import data_of, require_matches
from sysu30k_bench.evaluation.environment import peak_memory_bytes, this_machine
from sysu30k_bench.evaluation.ranking.rank_gallery import rank_gallery
from sysu30k_bench.evaluation.request import ExportRequest, SearchRequest
from sysu30k_bench.evaluation.step_notes import ExportNotes
from sysu30k_bench.models.embedder import AVERAGED, Embedder
from sysu30k_bench.processes import Ranks
from sysu30k_bench.progress import Progress
from sysu30k_bench.results.record import Model
from sysu30k_bench.search.engines.choose import choose_device
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.words import count

_NO_DIGEST = "the network was evaluated in memory: no digest of a weights file identifies it"
_NO_MODULE = "no module was found in the embedding function: its modules kept their mode, training or evaluation"
_CPU_BATCH, _GPU_BATCH = 32, 256


def evaluate_network(
    network: Network,
    data: Path | TestSet,
    transform: str | ImageTransform | None,
    asked: ExportRequest,
    search: SearchRequest,
    ranks: Ranks,
    progress: Progress,
    name: str,
) -> Result:
    """Embeds, searches and scores in memory; the network is given back as it was.

    Args:
        network: Images to embeddings.
        data: The test set, or where it is.
        transform: How images are prepared; see `view_of`.
        asked: Everything else that `eval` can be asked for and that means something here.
        search: How to search.
        ranks: This process among those that share the images.
        progress: Receives progress.
        name: What comparisons call the result.

    Raises:
        BenchError: Anything that the user has to see to.
    """
    started = time.perf_counter()
    network = unwrapped(network)
    trunk = InMemory(network)
    title = f"{_title(network)} in memory"
    view = view_of(transform, asked.input, asked.flip, title)
    device = _device(trunk, asked.device, ranks)
    test_set = _lists(data, asked, progress)
    embedder = Embedder(trunk, view.card.feature, view.card.input, bf16=asked.compute == "bf16").to(device)
    batch = asked.batch_size or (_GPU_BATCH if device.type == "cuda" else _CPU_BATCH)
    settings = EmbedSettings(device, batch, asked.workers, view.prepare, asked.skip_damaged, ranks)
    with untouched(network):
        embedded = {
            role: embed_split(embedder, test_set.split(role), test_set.images, settings, progress) for role in ROLES
        }
    seconds = time.perf_counter() - started
    (queries, ours), (rows, theirs) = embedded["query"], embedded["gallery"]
    ranked = None
    if ranks.first:
        ranked = rank_gallery(queries, ArrayGallery(rows, theirs.key), (ours, theirs), search, progress=progress)
    ranked = ranks.gather((ranked,))[0][0]
    if ranked is None:
        raise UsageError("the first process found no ranking")
    labels: dict[Role, Labels] = {"query": ours, "gallery": theirs}
    measured = queries.shape[1], seconds, device, ranks.world
    exported = _notes(test_set, view, trunk, labels, measured, asked, averaged=embedder.averages_maps)
    return result_of(ranked, exported, name)


def _lists(data: Path | TestSet, asked: ExportRequest, progress: Progress) -> TestSet:
    """Opens the lists, or takes those that are open; their remarks are copied, since this evaluation adds to them."""
    opened = data if isinstance(data, TestSet) else open_test_set(data, asked.dataset, asked.split, progress)
    part = part_of(opened, asked.limit, asked.distractors)
    own = replace(part, warnings=list(part.warnings), not_official=list(part.not_official))
    require_matches(own)
    return own


def _device(trunk: InMemory, name: str, ranks: Ranks) -> torch.device:
    own = trunk.own_device
    if own is None:
        return choose_device("cpu" if name == "auto" else name, ranks.local_rank)
    if name != "auto" and torch.device(name).type != own.type:
        raise UsageError(f"device is {name}, and the network is on {own}", hint="omit device: the network stays there")
    if own.type == "meta":
        raise UsageError("the network is on the device meta: it has no weights")
    return own


def _title(network: Network) -> str:
    if isinstance(network, nn.Module):
        return type(network).__name__
    return str(getattr(network, "__qualname__", type(network).__name__))


def _notes(
    test_set: TestSet,
    view: View,
    trunk: InMemory,
    labels: Mapping[Role, Labels],
    measured: tuple[int, float, torch.device, int],
    asked: ExportRequest,
    *,
    averaged: bool,
) -> ExportNotes:
    dimension, seconds, device, processes = measured
    damaged = {role: len(labels[role].damaged) for role in ROLES}
    reasons = [*test_set.not_official, _NO_DIGEST]
    if any(damaged.values()):
        reasons.append(f"skip_damaged: {count(sum(damaged.values()), 'image')} could not be decoded")
    model: dict[str, Any] = {
        "adapter": view.card.name,
        "title": view.card.title,
        "supervision": "unknown",
        "network": view.card.title,
        "checkpoint": "in memory",
        "weights_sha256": "",
        "card_sha256": view.card.fingerprint,
        "layout": "in memory",
        "feature": "output",
        "flip": view.card.feature.flip,
        "dimension": dimension,
        "input": view.words,
        "compute": asked.compute,
        "storage": "float32",
        "parameters": trunk.own_parameters,
        "tensors_loaded": 0,
    }
    return ExportNotes(
        model=Model(**model),
        data=data_of(test_set),
        warnings=[
            *test_set.warnings,
            *([] if trunk.has_modules else [_NO_MODULE]),
            *([AVERAGED] if averaged else []),
        ],
        not_official_because=list(dict.fromkeys(reasons)),
        images_embedded=sum(len(labels[role].key) for role in ROLES),
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes(),
        processes=processes,
        machine=this_machine(device),
        stores={},
        skipped_query=damaged["query"],
        skipped_gallery=damaged["gallery"],
    )
