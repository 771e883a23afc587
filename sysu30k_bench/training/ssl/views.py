"""The views of an image, by lightly's transforms; equal seeds give equal pixels, in any process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from sysu30k_bench.training.ssl.lightly_parts import lightly_part
from sysu30k_bench.training.ssl.recipe import ViewsPart


class ImageViews:
    """Makes the views of an image: two of the full size, then the local ones.

    Args:
        part: Sizes, number and augmentation.
    """

    def __init__(self, part: ViewsPart) -> None:
        full, scale = (part.height, part.width), (part.min_scale, 1.0)
        two = zip(part.blur, part.solarize, strict=True)
        self._views = [_view(part, full, scale, blur, solarize) for blur, solarize in two]
        if part.local:
            small = (part.local_height, part.local_width)
            self._views += [_view(part, small, part.local_scale, part.local_blur, 0.0)] * part.local

    def __call__(self, image: Image.Image, seed: np.random.SeedSequence) -> tuple[torch.Tensor, ...]:
        """Draws the views.

        Args:
            image: RGB, at its own size.
            seed: Of every choice.

        Returns:
            Two tensors (3, H, W), then local ones (3, h, w); float32, normalised by ImageNet's statistics.
        """
        with drawn_from(seed):
            return tuple(view(image) for view in self._views)


def _view(part: ViewsPart, size: tuple[int, int], scale: tuple[float, float], blur: float, solarize: float) -> Any:  # noqa: ANN401  a transform of lightly
    from torchvision.transforms.v2 import InterpolationMode, RandomResizedCrop

    view = lightly_part("transforms.byol_transform", "BYOLView1Transform")(
        cj_prob=part.jitter,
        cj_bright=part.brightness,
        cj_contrast=part.contrast,
        cj_sat=part.saturation,
        cj_hue=part.hue,
        random_gray_scale=part.gray,
        gaussian_blur=blur,
        solarization_prob=solarize,
        hf_prob=part.flip,
    )
    # lightly's crop is square and bilinear
    view.transform.transforms[0] = RandomResizedCrop(size, scale, part.ratio, InterpolationMode.BICUBIC)
    return view


@contextmanager
def drawn_from(seed: np.random.SeedSequence) -> Iterator[None]:
    """Seeds torch's and NumPy's global generators, which the transforms draw from, and restores them afterwards."""
    for_torch, for_numpy = seed.generate_state(2)
    before_torch, before_numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002  lightly draws from it
    torch.set_rng_state(torch.Generator().manual_seed(int(for_torch)).get_state())
    np.random.seed(int(for_numpy))  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(before_torch)
        np.random.set_state(before_numpy)  # noqa: NPY002
