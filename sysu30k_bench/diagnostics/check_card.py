"""Trying a card on a few drawn images, without a data set."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sysu30k_bench.data.images import decode
from sysu30k_bench.data.synth.person import draw_looks
from sysu30k_bench.data.synth.scene import DIFFICULTIES, picture
from sysu30k_bench.errors import BenchError
from sysu30k_bench.models.card import AdapterCard
from sysu30k_bench.models.embedder import Embedder, probe_dimension
from sysu30k_bench.models.formats.checkpoint import read_checkpoint
from sysu30k_bench.models.load import load_embedder, require_fit, seeded_trunk
from sysu30k_bench.models.logits import LogitEmbedding
from sysu30k_bench.models.matching.layouts import card_layouts
from sysu30k_bench.models.sources import WHOLE_MODELS

_IMAGES = 8
_CLASSES = 4000
_BOTTLENECK_WIDTH = 512


@dataclass(frozen=True)
class CardReport:
    """What trying a card found.

    Attributes:
        card: The card's name.
        layouts: Checkpoint layouts that it reads.
        parameters: Of the trunk.
        dimension: Of an embedding.
        images_per_second: On the drawn images, in one process on the CPU.
        faults: Why the card does not work; empty where it does.
        note: Why there was nothing to try, for cards without a network.
    """

    card: str
    layouts: int
    parameters: int = 0
    dimension: int = 0
    images_per_second: float = 0.0
    faults: list[str] = field(default_factory=list)
    note: str = ""


def check_card(card: AdapterCard, checkpoint: Path | None = None) -> CardReport:
    """Builds a card's network and embeds eight drawn images.

    Args:
        card: The card.
        checkpoint: Weights to fill it with; seeded random weights where None, with a head of 4,000 classes or 512
            features where the card takes one.

    Returns:
        What was found; faults are reported, not raised.
    """
    kind = card.network.source.partition(":")[0]
    if kind in {"features", *WHOLE_MODELS}:
        return CardReport(card.name, 0, note=f"takes {kind} files, which hold their own network")
    layouts = len(card_layouts(card))
    try:
        embedder = _random(card) if checkpoint is None else _loaded(card, checkpoint)
        dimension = probe_dimension(embedder, torch.device("cpu"))
        images = torch.from_numpy(_drawn(card))
        started = time.perf_counter()
        vectors = embedder(images).numpy()
        seconds = time.perf_counter() - started
    except BenchError as error:
        return CardReport(card.name, layouts, faults=[str(error)])
    faults = _faults(vectors, embedder(images).numpy())
    parameters = sum(parameter.numel() for parameter in embedder.trunk.parameters())
    return CardReport(card.name, layouts, parameters, dimension, _IMAGES / seconds, faults)


def _loaded(card: AdapterCard, path: Path) -> Embedder:
    checkpoint = read_checkpoint(path)
    return load_embedder(require_fit(card, checkpoint), checkpoint)[0]


def _faults(vectors: np.ndarray, again: np.ndarray) -> list[str]:
    faults = []
    if not np.isfinite(vectors).all():
        return ["some embeddings are zero, NaN or infinite"]
    if np.ptp(vectors, axis=0).max() == 0:
        faults.append("all images get the same embedding")
    if not np.array_equal(vectors, again):
        faults.append("the same images get other embeddings the second time: the network is random in evaluation mode")
    return faults


def _random(card: AdapterCard) -> Embedder:
    trunk = seeded_trunk(card).to(memory_format=torch.channels_last)
    bottleneck = logits = None
    if card.feature.kind != "pool5":
        plain = card.model_copy(
            update={"feature": card.feature.model_copy(update={"kind": "pool5", "full_logits": False})}
        )
        width = probe_dimension(Embedder(trunk, plain.feature, card.input), torch.device("cpu"))
        generator = torch.Generator().manual_seed(0)
        if card.feature.kind == "bottleneck":
            bottleneck = nn.Sequential(nn.Linear(width, _BOTTLENECK_WIDTH), nn.BatchNorm1d(_BOTTLENECK_WIDTH)).eval()
            for value in bottleneck.parameters():
                nn.init.uniform_(value, -0.05, 0.05, generator=generator)
        else:
            weight = torch.empty(_CLASSES, width).normal_(std=0.02, generator=generator)
            logits = LogitEmbedding(weight, torch.zeros(_CLASSES), full=card.feature.full_logits)
    return Embedder(trunk, card.feature, card.input, bottleneck=bottleneck, logits=logits)


def _drawn(card: AdapterCard) -> np.ndarray:
    size, difficulty = card.input, DIFFICULTIES["normal"]
    images = []
    for number in range(_IMAGES):
        looks = draw_looks(np.random.default_rng([0, 1, number]), difficulty.wardrobe)
        content = picture(looks, 1, np.random.default_rng([0, 2, number]), difficulty, 0)
        images.append(decode(content, size.height, size.width, size.interpolation))
    return np.stack(images)
