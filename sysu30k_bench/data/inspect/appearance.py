"""What an image looks like, in three numbers: its size, how sharp and how bright it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from sysu30k_bench.data.images import decode_whole


class Appearance(NamedTuple):
    """Three numbers of an image.

    Attributes:
        size: Pixels.
        sharpness: Variance of the Laplacian of the luma, 0 to 255 (Pech-Pacheco et al., ICPR 2000).
        brightness: Mean luma, 0 to 255 (ITU-R BT.601).
    """

    size: float
    sharpness: float
    brightness: float


def appearance(content: bytes) -> Appearance:
    """Looks at an image.

    Args:
        content: Its file.

    Raises:
        DamagedImageError: It does not decode.
    """
    luma = np.asarray(decode_whole(content).convert("L"), np.float64)
    return Appearance(float(luma.size), float(ndimage.laplace(luma).var()), float(luma.mean()))
