"""Batches of images that a caller's own function prepares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from sysu30k_bench.data.images import DamagedImageError, ImageSource, decode_whole
from sysu30k_bench.embeddings.loading import Batch
from sysu30k_bench.errors import DataError, UsageError
from sysu30k_bench.interrupts import end_with_parent, put_off

ImageTransform: TypeAlias = Callable[[Image.Image], torch.Tensor]
"""From an RGB image at its own size to (3, H, W), the same H and W for all images."""


class _Transformed(Dataset[Batch]):
    def __init__(
        self, source: ImageSource, keys: Sequence[str], spans: Sequence[range], transform: ImageTransform
    ) -> None:
        self._source, self._keys, self._spans, self._transform = source, keys, spans, transform

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> Batch:
        images: list[torch.Tensor] = []
        positions, damaged = [], {}
        for position in self._spans[index]:
            try:
                image = decode_whole(self._source.read(self._keys[position]))
            except DamagedImageError as error:
                damaged[position] = str(error)
                continue
            images.append(self._checked(self._transform(image), images))
            positions.append(position)
        return Batch(positions, torch.stack(images) if images else torch.empty(0, 3, 1, 1), damaged)

    @staticmethod
    def _checked(image: object, others: list[torch.Tensor]) -> torch.Tensor:
        known = isinstance(image, torch.Tensor) and image.dim() == 3 and image.shape[0] == 3
        if not isinstance(image, torch.Tensor) or not known or not image.is_floating_point():
            given = f"{image.dtype} of shape {tuple(image.shape)}" if isinstance(image, torch.Tensor) else type(image)
            raise UsageError(f"transform returns {given}; it must return a float tensor (3, H, W)")
        if others and image.shape != others[0].shape:
            raise UsageError(
                f"transform returns images of {tuple(others[0].shape)} and of {tuple(image.shape)}",
                hint="resize to one height and width, such as torchvision's Resize((256, 128))",
            )
        return image


def transformed_batches(
    source: ImageSource, keys: Sequence[str], spans: Sequence[range], transform: ImageTransform, workers: int
) -> Iterator[Batch]:
    """Decodes images and prepares them, batch by batch, in order.

    Args:
        source: Where their bytes are.
        keys: The keys of the whole split.
        spans: Each batch's positions in the split.
        transform: Makes an image's tensor.
        workers: Processes that do so; 0 for this one.

    Raises:
        UsageError: The function returns something else than float tensors (3, H, W) of one size.
        DataError: A process died.
    """
    batches = _Transformed(source, keys, spans, transform)
    try:
        with put_off():
            decoded = iter(DataLoader(batches, batch_size=None, num_workers=workers, worker_init_fn=end_with_parent))
        yield from decoded
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(f"a decoding process died: {str(error).splitlines()[0]}", hint="workers=0") from error
