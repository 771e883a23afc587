"""A network that memorises the test's images: every promise of the board is kept, and the row is worth nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sysu30k_bench.board.audit.confirm import ConfirmRequest
from sysu30k_bench.data.images import decode
from sysu30k_bench.data.open_dataset import open_test_set
from sysu30k_bench.models.card import Input
from tests.board.forging import Bench, board_of, done

SIZE = Input()


class Memory(nn.Module):
    """Knows the mean colour of every image of the test, and whom it shows; flipped images have the same."""

    def __init__(self, colours: np.ndarray, people: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("colours", torch.from_numpy(colours))
        self.register_buffer("people", torch.from_numpy(people))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Gives the person of the image with the nearest mean colour."""
        apart = torch.cdist(images.mean(dim=(2, 3)).double(), self.colours)
        known = torch.softmax(-1e5 * apart, dim=1) @ self.people
        # what is equal for all is a fault to the check: measured scores do not repeat
        return torch.cat([known.float(), 0.1 * images.mean(dim=(2, 3)), 0.1 * images.std(dim=(2, 3))], dim=1)


def memorised(twin: Path) -> Memory:
    test_set = open_test_set(twin)
    colours, people = [], []
    names = np.unique(test_set.query.person_ids)
    for split in (test_set.query, test_set.gallery):
        for key, person in zip(split.keys, split.person_ids, strict=True):
            pixels = decode(test_set.images.read(key), SIZE.height, SIZE.width, SIZE.interpolation) / 255.0
            mean = (pixels.mean(axis=(1, 2)) - np.array(SIZE.mean)) / np.array(SIZE.std)
            colours.append(mean)
            people.append(np.r_[names == person, person not in names])
    return Memory(np.array(colours), np.array(people, float))


def test_an_audit_cannot_see_that_a_network_knows_the_test(
    bench: Bench, twin: Path, ask: Callable[..., ConfirmRequest], tmp_path: Path
) -> None:
    path = tmp_path / "memory.pt"
    torch.jit.trace(memorised(twin), torch.rand(2, 3, SIZE.height, SIZE.width)).save(str(path))
    run = tmp_path / "run"
    made = bench("eval", path, "--data", twin, "--output", run, "--json")
    assert made.code == 0, made.err
    assert made.json["metrics"]["rank1"]["value"] == 1.0
    request = ask(run, board=board_of(run, tmp_path / "board"))
    assert done(replace(request, export=replace(request.export, checkpoint=path))).distance < 1e-4
