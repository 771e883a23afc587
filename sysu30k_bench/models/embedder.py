"""A network, its feature layer and its views: images in, unit vectors out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sysu30k_bench.arithmetic import full_float32
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.models.card import Feature, Input
from sysu30k_bench.models.logits import LogitEmbedding

EMBEDDING_VERSION = 2
"""Part of every store's identity: raise it when what this file makes of pixels changes."""


AVERAGED = "the network returns a map (N, D, h, w): its spatial mean is the embedding"


class Embedder(nn.Module):
    """Embeds image batches as an adapter card says.

    Args:
        trunk: Maps (N, 3, H, W) to (N, D), or to a map (N, D, h, w) whose spatial mean is taken. A network with the
            attribute `takes_camera` is given each image's camera as well, counted from 0.
        feature: Which layer, and how views are put together.
        image_input: Mean and standard deviation of the normalisation.
        bottleneck: What follows the trunk where the feature is `bottleneck`.
        logits: What follows the trunk where the feature is `logits`.
        bf16: Run the trunk in bfloat16 autocast.

    Attributes:
        averages_maps: Whether the trunk has returned a map.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        trunk: nn.Module,
        feature: Feature,
        image_input: Input,
        *,
        bottleneck: nn.Module | None = None,
        logits: LogitEmbedding | None = None,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.feature = feature
        self.input = image_input
        self.bottleneck = bottleneck
        self.logits = logits
        self.bf16 = bf16
        self.averages_maps = False
        self._run: Callable[[torch.Tensor], torch.Tensor] | None = None
        self.register_buffer("mean", torch.tensor(image_input.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(image_input.std)[:, None, None], persistent=False)
        self.eval()

    def use(self, run: Callable[[torch.Tensor], torch.Tensor] | None) -> None:
        """Runs the trunk by another function from now on, or by itself again.

        Args:
            run: Maps what the trunk takes, (N, 3, H, W) float32, to what it gives, up to rounding; None for the trunk.
        """
        self._run = run

    @property
    def runner(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """What runs the trunk in its place; None where nothing does."""
        return self._run

    @contextmanager
    def eager(self) -> Iterator[None]:
        """Runs the trunk in eager mode within the context."""
        run, self._run = self._run, None
        try:
            yield
        finally:
            self._run = run

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Computes in float32 for a while."""
        bf16, self.bf16 = self.bf16, False
        try:
            yield
        finally:
            self.bf16 = bf16

    @property
    def takes_camera(self) -> bool:
        """Whether the network is given the camera of each image."""
        return bool(getattr(self.trunk, "takes_camera", False))

    @torch.inference_mode()
    def forward(self, images: torch.Tensor, cameras: torch.Tensor | None = None) -> torch.Tensor:
        """Embeds a batch.

        Args:
            images: (N, 3, H, W) uint8, RGB, already resized.
            cameras: (N,) int64, the images' camera labels, counted from 1 as data sets do; only for networks that
                take them, where the card does not name one camera for all.

        Returns:
            (N, D) float32 on the same device, each row of unit length. A row whose feature is zero or not finite comes
            out as NaN, for the caller to name.
        """
        pixels = images.flip(1).float() if self.input.channels == "bgr" else images.float()
        if self.input.scale == "unit":
            pixels = pixels.div(255)
        pixels = pixels.sub(self.mean).div(self.std)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        labels = self._cameras(len(images), images.device, cameras)
        views = [self._pooled(pixels, labels)]
        if self.feature.flip != "none":
            views.append(self._pooled(pixels.flip(-1), labels))
        return nn.functional.normalize(self._combine(views), eps=0.0).float()

    def _combine(self, views: list[torch.Tensor]) -> torch.Tensor:
        if self.feature.flip == "sequential":
            views[0] = nn.functional.normalize(views[0], eps=0.0)
        joined = self.feature.flip == "concat"
        summed = torch.cat(views, dim=1) if joined else torch.stack(views).sum(dim=0)
        if self.feature.parts > 1:
            parts = summed.unflatten(1, (self.feature.parts, -1))  # type: ignore[no-untyped-call]
            unit = nn.functional.normalize(parts, dim=2, eps=0.0)
            summed = (unit.transpose(1, 2) if self.feature.part_order == "channels" else unit).flatten(1)
        if self.logits is None:
            return summed
        embedded: torch.Tensor = self.logits(summed, len(views))
        return embedded

    def _cameras(self, count: int, device: torch.device, cameras: torch.Tensor | None) -> torch.Tensor | None:
        if not self.takes_camera:
            return None
        if self.feature.camera is not None:
            return torch.full((count,), self.feature.camera - 1, dtype=torch.int64, device=device)
        if cameras is None:
            raise UsageError(
                "the network takes the camera of each image, and none is known",
                hint="name one camera of its training set for all images with --camera N",
            )
        return cameras.to(device) - 1

    def _pooled(self, pixels: torch.Tensor, cameras: torch.Tensor | None) -> torch.Tensor:
        with (
            full_float32(),
            torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.bf16),
        ):
            run = self._run or self.trunk
            pooled = run(pixels) if cameras is None else self.trunk(pixels, cameras)
            if not isinstance(pooled, torch.Tensor) or pooled.dim() not in {2, 4}:
                raise UsageError(
                    f"the network returns {_describe(pooled)}; an adapter needs (N, D), or a map (N, D, h, w)",
                    hint="wrap it so that it returns its pooled feature, and name that as python:package.module:build",
                )
            if pooled.dim() == 4:
                pooled = pooled.mean(dim=(2, 3))
                self.averages_maps = True
            self._check_width(pooled.shape[1])
            if self.bottleneck is not None:
                pooled = self.bottleneck(pooled)
        features: torch.Tensor = pooled.double()
        return features

    def _check_width(self, width: int) -> None:
        wanted = None
        if self.bottleneck is not None:
            wanted = self.bottleneck.state_dict()["0.weight"].shape[1]
        elif self.logits is not None:
            wanted = self.logits.width
        if wanted is not None and wanted != width:
            raise IntegrityError(
                f"the checkpoint's head takes {wanted} features and its trunk gives {width}",
                hint="the file belongs to another network than the card's; --feature pool5 omits the head",
            )


def _describe(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


def probe_dimension(embedder: Embedder, device: torch.device) -> int:
    """Runs one grey image through the network and returns the embedding's width D.

    Raises:
        UsageError: The network cannot take an image of the card's size, or returns no pooled feature.
    """
    grey = torch.full((1, 3, embedder.input.height, embedder.input.width), 127, dtype=torch.uint8, device=device)
    try:
        return int(embedder(grey, torch.ones(1, dtype=torch.int64)).shape[1])
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        size = f"{embedder.input.height} x {embedder.input.width}"
        raise UsageError(
            f"the network does not take images of {size}: {str(error).splitlines()[0] if str(error) else error!r}",
            hint="set [input] height and width in an adapter card to the network's own size",
        ) from error
