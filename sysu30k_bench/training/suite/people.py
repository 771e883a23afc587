"""Drawn people to train and test on, made in memory; equal everywhere."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image

from sysu30k_bench.data.synth.person import draw_looks
from sysu30k_bench.data.synth.scene import DIFFICULTIES, picture
from sysu30k_bench.training.ssl.recipe import ViewsPart
from sysu30k_bench.training.ssl.views import ImageViews

HEIGHT, WIDTH = 32, 16
TRAINED, IMAGES_EACH, TESTED = 48, 4, 120
_DRAWN_HEIGHT, _DRAWN_WIDTH, _SEED = 48, 24, 20_2402
_MEAN, _STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class TestPeople:
    """Who is looked for, and among whom: row i of both shows the same person by two cameras.

    Attributes:
        queries: (120, 3, 32, 16) float32, normalised.
        gallery: Likewise.
    """

    queries: torch.Tensor
    gallery: torch.Tensor


@lru_cache(maxsize=1)
def training_people() -> list[Image.Image]:
    """Draws 48 people, four images each."""
    return [_draw(person, image % 2, image) for person in range(TRAINED) for image in range(IMAGES_EACH)]


@lru_cache(maxsize=1)
def test_people() -> TestPeople:
    """Draws 120 others, by two cameras."""
    shown = [
        torch.stack([_tensor(_draw(TRAINED + person, camera, camera)) for person in range(TESTED)])
        for camera in range(2)
    ]
    return TestPeople(shown[1], shown[0])


def views_of(part: ViewsPart, seed: int, steps: int, batch: int) -> list[Pair]:
    """Draws the two views of every step: all implementations that are compared see the same pixels.

    Args:
        part: Augmentation.
        seed: Of order and augmentation.
        steps: How many.
        batch: Images in each.

    Returns:
        For each step, (batch, 3, 32, 16) float32, twice.
    """
    images, make = training_people(), ImageViews(part)
    rng = np.random.default_rng([seed, 31])
    order = np.concatenate([rng.permutation(len(images)) for _ in range(-(-steps * batch // len(images)))])
    found = []
    for step in range(steps):
        rows = order[step * batch : (step + 1) * batch].tolist()
        pairs = [make(images[row], np.random.SeedSequence([seed, 32, step, place])) for place, row in enumerate(rows)]
        first, second = (torch.stack(list(views)) for views in zip(*pairs, strict=True))
        found.append((first, second))
    return found


def _draw(person: int, camera: int, image: int) -> Image.Image:
    difficulty = DIFFICULTIES["easy"]
    looks = draw_looks(np.random.default_rng([_SEED, 1, person]), difficulty.wardrobe)
    content = picture(looks, camera + 1, np.random.default_rng([_SEED, 2, person, image]), difficulty, _SEED)
    with Image.open(io.BytesIO(content)) as opened:
        return opened.convert("RGB").resize((_DRAWN_WIDTH, _DRAWN_HEIGHT), Image.Resampling.BICUBIC)


def _tensor(image: Image.Image) -> torch.Tensor:
    small = np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32) / 255
    return torch.from_numpy(((small - _MEAN) / _STD).transpose(2, 0, 1).copy())
