"""Augmentation whose every choice is drawn from a generator that is handed in."""

from __future__ import annotations

import math

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from sysu30k_bench.training.recipe import InputPart

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_AREA, _ASPECT, _TRIES = (0.02, 0.4), (0.3, 3.33), 100
Box = tuple[int, int, int, int]


def augment(pixels: torch.Tensor, image_input: InputPart, rng: np.random.Generator) -> torch.Tensor:
    """Jitters, crops, mirrors, normalises and erases one image.

    The released code jitters before it resizes; here the resized pixels are jittered.

    Args:
        pixels: (3, H, W) uint8.
        image_input: What to do.
        rng: Source of chance.

    Returns:
        (3, height, width) float32, normalised.
    """
    if image_input.jitter:
        pixels = _jitter(pixels, image_input.jitter, rng)
    if image_input.padding:
        pixels = functional.pad(pixels, [image_input.padding] * 4)
    top = int(rng.integers(pixels.shape[1] - image_input.height + 1))
    left = int(rng.integers(pixels.shape[2] - image_input.width + 1))
    pixels = pixels[:, top : top + image_input.height, left : left + image_input.width]
    if rng.random() < image_input.flip:
        pixels = pixels.flip(-1)
    values: torch.Tensor = functional.normalize(pixels.float().div_(255), list(MEAN), list(STD), inplace=True)
    if rng.random() < image_input.erasing and (box := _erased(image_input.height, image_input.width, rng)):
        functional.erase(values, *box, torch.zeros(()), inplace=True)
    return values


def _jitter(pixels: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """Brightness, contrast and saturation, in an order of chance, as torchvision's ColorJitter."""
    steps = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
    for number in rng.permutation(len(steps)):
        adjusted: torch.Tensor = steps[number](pixels, float(rng.uniform(1 - strength, 1 + strength)))
        pixels = adjusted
    return pixels


def _erased(height: int, width: int, rng: np.random.Generator) -> Box | None:
    """Draws the rectangle of random erasing (Zhong et al., AAAI 2020): top, left, height, width."""
    for _ in range(_TRIES):
        area = height * width * rng.uniform(*_AREA)
        aspect = math.exp(rng.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])))
        rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < rows < height and 0 < columns < width:
            return int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1)), rows, columns
    return None
