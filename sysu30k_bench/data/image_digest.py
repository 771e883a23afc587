"""A quick digest of images: enough to notice that a folder holds others than before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sysu30k_bench.data.images import DamagedImageError, ImageSource

READ_WHOLE = 16


def images_digest(source: ImageSource, keys: Sequence[str]) -> str:
    """Hashes the sizes of all images and the bytes of sixteen of them, evenly spread.

    Other images under the same names, such as a resized copy, are noticed without reading a whole gallery.

    Args:
        source: Where the images are.
        keys: Their keys, in order.

    Returns:
        SHA-256, in hex.
    """
    digest = hashlib.sha256()
    for key in keys:
        digest.update(f"{key}\t{source.size(key)}\n".encode())
    for number in range(min(READ_WHOLE, len(keys))):
        key = keys[number * len(keys) // min(READ_WHOLE, len(keys))]
        try:
            digest.update(hashlib.sha256(source.read(key)).digest())
        except DamagedImageError:
            digest.update(b"unreadable")
    return digest.hexdigest()
