"""TransReID: a vision transformer with an embedding of the camera and a branch of shuffled patches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from sysu30k_bench.errors import UsageError
from sysu30k_bench.models.matching.structure import Structure
from sysu30k_bench.models.networks.vits.blocks import Block
from sysu30k_bench.models.networks.vits.reading import read_structure
from sysu30k_bench.models.networks.vits.vit import VisionTransformer

_PARTS = 4
_GROUPS = 2
_SHIFT, _SHIFT_OF_VEHICLES = 5, 8
_MOST_CAMERAS = 4096


class TransReID(nn.Module):
    """TransReID without camera embeddings, and the transformers of TransReID-SSL and PersonViT.

    He et al., TransReID: Transformer-based Object Re-Identification, ICCV 2021 (damo-cv/TransReID). The feature is the
    one before the neck, as its configurations test.

    Args:
        trunk: Options of the `VisionTransformer`.
        jigsaw: Whether the last block is doubled (JPM, section 3.2): one copy sees all patches and gives the global
            feature, the other sees a quarter of the shuffled patches at a time. Local features are divided by 4.
        shift: By how many places patches are shifted before the shuffle.
        reduced: Width of the linear layer behind the class token (TransReID-SSL's `REDUCE_FEAT_DIM`); 0 for none.
    """

    def __init__(
        self, trunk: dict[str, object] | None = None, jigsaw: bool = False, shift: int = _SHIFT, reduced: int = 0
    ) -> None:
        super().__init__()
        options = dict(trunk or {})
        self.base = VisionTransformer(**options)  # type: ignore[arg-type]
        self.shift, self.jigsaw = shift, jigsaw
        if jigsaw:
            self.b1, self.b2 = _branch(options), _branch(options)
        self.fcneck: nn.Module = nn.Linear(self.base.dim, reduced, bias=False) if reduced else nn.Identity()

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        inner = {name.removeprefix("base."): value for name, value in tensors.items() if name.startswith("base.")}
        found = read_structure(inner, person_first=True)
        if found is None or "cls_token" not in inner or "norm.weight" not in inner:
            return None
        reduced = tensors.get("fcneck.weight")
        options: dict[str, object] = {"trunk": found.options, "jigsaw": "b1.0.norm1.weight" in tensors}
        if reduced is not None and reduced.dim() == 2:
            options["reduced"] = int(reduced.shape[0])
        square = found.input.get("height") == found.input.get("width")
        if options["jigsaw"] and square:
            options["shift"] = _SHIFT_OF_VEHICLES
        return Structure(options, found.input, found.notes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeds a batch.

        Args:
            images: Normalised, (N, 3, H, W).

        Returns:
            (N, D), or (N, 5 D) with the jigsaw branch: global, then four local features.
        """
        tokens, _ = self.base.embedded(images)
        return self.described(tokens)

    def described(self, tokens: torch.Tensor) -> torch.Tensor:
        """Maps tokens before the first block, (N, T, D), to the feature."""
        if not self.jigsaw:
            reduced: torch.Tensor = self.fcneck(self.base.pooled(self.base.norm(self.base.through(tokens))))
            return reduced
        tokens = self.base.through(tokens, last=-1)
        features = [self.b1(tokens)[:, 0]]
        patches = shuffled(tokens[:, 1:], self.shift)
        quarter = (tokens.shape[1] - 1) // _PARTS
        for part in range(_PARTS):
            chosen = patches[:, part * quarter : (part + 1) * quarter]
            features.append(self.b2(torch.cat((tokens[:, :1], chosen), dim=1))[:, 0] / _PARTS)
        return torch.cat(features, dim=1)


class TransReIDSie(TransReID):
    """TransReID with side information (section 3.3): each camera's embedding, times 3, is added to every token.

    Args:
        trunk: As in `TransReID`.
        jigsaw: As in `TransReID`.
        shift: As in `TransReID`.
        reduced: As in `TransReID`.
        cameras: How many embeddings there are.
        strength: What they are multiplied by (`SIE_COE`).
    """

    takes_camera = True

    def __init__(
        self,
        trunk: dict[str, object] | None = None,
        jigsaw: bool = False,
        shift: int = _SHIFT,
        reduced: int = 0,
        cameras: int = 1,
        strength: float = 3.0,
    ) -> None:
        super().__init__(trunk, jigsaw, shift, reduced)
        self.strength = strength
        self.base.sie_embed = nn.Parameter(torch.zeros(cameras, 1, self.base.dim))

    @staticmethod
    def structure(tensors: Mapping[str, torch.Tensor]) -> Structure | None:
        """Returns the options by which the network takes these tensors; None where they are of another network."""
        found, embeddings = TransReID.structure(tensors), tensors.get("base.sie_embed")
        if found is None or embeddings is None or embeddings.dim() != 3 or len(embeddings) > _MOST_CAMERAS:
            return None
        note = (
            f"{len(embeddings)} embeddings are assumed to be one per camera; "
            "a file does not distinguish cameras from viewpoints"
        )
        return Structure(found.options | {"cameras": len(embeddings)}, found.input, [*found.notes, note])

    def forward(self, images: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Embeds a batch.

        Args:
            images: Normalised, (N, 3, H, W).
            cameras: Each image's camera, counted from 0, (N).

        Raises:
            UsageError: A camera has no embedding.
        """
        known = len(self.base.get_parameter("sie_embed"))
        if bool(((cameras < 0) | (cameras >= known)).any()):
            other = int(cameras.max()) + 1
            raise UsageError(
                f"the network has embeddings of cameras 1 to {known}, and an image is of camera {other}",
                hint="such a checkpoint embeds images of the data set that it was trained on",
            )
        tokens, _ = self.base.embedded(images)
        return self.described(tokens + self.strength * self.base.get_parameter("sie_embed")[cameras])


def shuffled(patches: torch.Tensor, shift: int, groups: int = _GROUPS) -> torch.Tensor:
    """Shifts patches along their row and deals them out again, one of each group in turn (section 3.2, figure 4).

    The first patch stays out of the shift's length, as in the project's code, where the class token counts as a place.

    Args:
        patches: (N, P, D).
        shift: See `TransReID`.
        groups: Into how many consecutive groups the shifted patches fall; where they do not divide evenly, the last
            but one is repeated.
    """
    moved = patches.roll(1 - shift, dims=1)
    if moved.shape[1] % groups:
        moved = torch.cat((moved, moved[:, -2:-1]), dim=1)
    batch, length, dim = moved.shape
    return moved.reshape(batch, groups, -1, dim).transpose(1, 2).reshape(batch, length, dim)


def _branch(options: dict[str, object]) -> nn.Sequential:
    one = VisionTransformer(**(options | {"depth": 1}))  # type: ignore[arg-type]
    block, norm = one.blocks[0], one.norm
    assert isinstance(block, Block)  # noqa: S101  for the type checker
    return nn.Sequential(block, norm)
