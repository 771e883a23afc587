"""CLIP-ReID's image encoder (Li, Sun and Li, AAAI 2023, section 3; Syliz517/CLIP-ReID, make_model_clipreid.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sysu30k_bench.errors import DataError
from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.clip.grid import shape_of
from sysu30k_bench.models.networks.clip.resnet import ModifiedResNet
from sysu30k_bench.models.networks.clip.tower import ClipVision, structure_of
from sysu30k_bench.models.networks.clip.transformer import VisionTransformer

IMAGENET: dict[str, object] = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


class ClipReId(nn.Module):
    """CLIP's tower with two features joined: before the projection and after it, both before the batch norms.

    A file with camera embeddings (side information embedding, section 3.3 of the paper) has them added to the class
    token before the positions. A ResNet stores such embeddings too and never uses them.

    Args:
        tower: Options of `ClipVision`, as `structure` reads them.
        cameras: Rows of the camera embedding `cv_embed`; 0 for none.
        coefficient: Factor of the camera embedding (`SIE_COE`).
    """

    def __init__(self, tower: dict[str, Any] | None = None, cameras: int = 0, coefficient: float = 1.0) -> None:
        super().__init__()
        self.visual = ClipVision(**(tower or {})).visual
        self.coefficient = coefficient
        self.takes_camera = cameras > 0 and isinstance(self.visual, VisionTransformer)
        if cameras:
            self.cv_embed = nn.Parameter(torch.empty(cameras, self.visual.width))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Reads the tower and the number of cameras; a ResNet's pixels have ImageNet's mean."""
        found = structure_of(tensors)
        if found is None or not found.options["output"] or "queries" in found.options:
            return None
        tower, notes, size = dict(found.options), [], dict(found.input)
        if tower["kind"] == "vit":
            tower["act"] = "quick_gelu"
        else:
            size.update(IMAGENET)
        options: dict[str, object] = {"tower": tower}
        if "cv_embed" in tensors:
            embedding = shape_of(tensors, "cv_embed", 2)
            if embedding is None:
                return None
            options["cameras"] = embedding[0]
            if tower["kind"] == "vit":
                notes.append("the camera embedding's factor is 1.0, as in the project's commands for such models")
        return Structure(options, size, notes)

    def forward(self, images: torch.Tensor, cameras: torch.Tensor | None = None) -> torch.Tensor:
        """Embeds images.

        Args:
            images: (N, 3, H, W), normalised.
            cameras: (N,), counted from 0; only where the file has camera embeddings.

        Returns:
            (N, D + E): 768 + 512 for ViT-B/16, 2,048 + 1,024 for RN50.

        Raises:
            DataError: The file has no embedding for a camera.
        """
        visual = self.visual
        if isinstance(visual, ModifiedResNet):
            maps = visual.maps(images)
            return torch.cat([maps.mean(dim=(2, 3)), visual.attnpool(maps)], dim=1)
        before = visual.pooled(visual.tokens(images, self._side_information(cameras)))
        return torch.cat([before, visual.project(before)], dim=1)

    def _side_information(self, cameras: torch.Tensor | None) -> torch.Tensor | None:
        if cameras is None or not self.takes_camera:
            return None
        known = len(self.cv_embed)
        if len(cameras) and not 0 <= int(cameras.min()) <= int(cameras.max()) < known:
            raise DataError(
                f"an image is of camera {int(cameras.max()) + 1}, and the checkpoint knows {known} cameras",
                hint="name one camera of its training set for all images with --camera N",
            )
        return self.coefficient * self.cv_embed[cameras]
