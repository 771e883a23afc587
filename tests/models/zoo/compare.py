"""Embeds the zoo's photographs with what the tool makes of a checkpoint, in process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sysu30k_bench.data.images import decode
from sysu30k_bench.evaluation.embedding.model import ReadyModel, ready_model
from sysu30k_bench.evaluation.request import ExportRequest
from tests.models.zoo.rebuild import HERE, expected

ENOUGH = 0.9999


@dataclass(frozen=True)
class Compared:
    """What the tool made of a checkpoint.

    Attributes:
        model: The network that it found.
        cosine: The smallest over the photographs; -1 where the dimension is another.
        dimension: Of an embedding, and of the project's own.
    """

    model: ReadyModel
    cosine: float
    dimension: tuple[int, int]

    @property
    def right(self) -> bool:
        """Whether all photographs have the project's own feature."""
        return self.cosine > ENOUGH


def compare(name: str, path: Path, **options: object) -> Compared:
    """Embeds the photographs and holds them against the project's own features.

    Args:
        name: The case.
        path: Its checkpoint.
        options: Fields of the request, such as `adapter`.
    """
    model = ready_model(ExportRequest(path, **options), torch.device("cpu"))  # type: ignore[arg-type]
    wanted, size = expected(name), model.card.input
    images = [
        decode((HERE / "images" / _place(key)).read_bytes(), size.height, size.width, size.interpolation)
        for key in wanted
    ]
    cameras = torch.tensor([int(key.partition("_c")[2][0]) for key in wanted])
    ours = model.embedder(torch.from_numpy(np.stack(images)), cameras).double().numpy()
    theirs = np.stack(list(wanted.values()))
    dimension = (ours.shape[1], theirs.shape[1])
    if dimension[0] != dimension[1]:
        return Compared(model, -1.0, dimension)
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    return Compared(model, float((ours * theirs).sum(axis=1).min()), dimension)


def _place(key: str) -> str:
    role, _, name = key.partition("/")
    return f"{'bounding_box_test' if role == 'gallery' else role}/{name}"
