"""The truncated triplet of Wang et al., ICCV 2021 (arXiv:2104.08760): BYOL's networks, negatives by rank."""

from __future__ import annotations

import torch
from torch.nn import functional

from sysu30k_bench.errors import UsageError
from sysu30k_bench.training.ssl.methods.bootstrap import BYOL
from sysu30k_bench.training.ssl.methods.method import Sizes, precisely


def truncated_triplet(
    predicted: torch.Tensor, target: torch.Tensor, *, gamma: float = 2.0, margin: float = 100.0, nearest: int = 10
) -> torch.Tensor:
    """Computes the loss of one order of the views, within the batch of one process.

    With d_ij = -2 cos(predicted_i, target_j), which is the squared distance of unit vectors less 2, it is the mean over
    i of max(0, gamma d_ii - m_i + margin), where m_i is the mean of the smallest d_ij, j != i, from the second to the
    `nearest`-th: the hardest negative is dropped, for it is often the same person.

    Args:
        predicted: (N, D) float32.
        target: (N, D) float32.
        gamma: Weight of the positive distance.
        margin: So large, as published, that the hinge is never reached: the loss is linear in both means.
        nearest: Negatives that are looked at.

    Returns:
        A scalar.

    Raises:
        UsageError: The batch has fewer than `nearest` + 1 images.
    """
    if len(predicted) <= nearest:
        raise UsageError(
            f"a batch of {len(predicted)} images has fewer than {nearest} negatives for each",
            hint=f"run.batch = {nearest + 1} or more, or a smaller loss.nearest",
        )
    distances = -2 * functional.normalize(predicted, dim=1) @ functional.normalize(target, dim=1).T
    self_pairs = torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    positive = distances.diagonal()
    ordered = distances.masked_fill(self_pairs, torch.inf).topk(nearest, dim=1, largest=False, sorted=True).values
    negative = ordered[:, 1:].mean(dim=1)
    return (gamma * positive - negative + margin).clamp_min(0).mean()


class TruncatedTriplet(BYOL):
    """BYOL's networks with the truncated triplet, the sum over both orders, and views of several resolutions."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        online, target = self.moment.online, self.moment.target
        predicted = self.prediction_head(self.project(resized(first, online), watch=True)).float()
        back = self.prediction_head(self.project(resized(second, online))).float()
        of_first = self.project_slowly(resized(first, target)).float()
        of_second = self.project_slowly(resized(second, target)).float()
        with precisely(first):
            return self.cost(predicted, of_second) + self.cost(back, of_first)

    def cost(self, predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """See `BYOL`."""
        part = self.recipe.loss
        return truncated_triplet(predicted, target, gamma=part.gamma, margin=part.margin, nearest=part.nearest)


def resized(images: torch.Tensor, sizes: Sizes) -> torch.Tensor:
    """Resizes a batch (N, 3, H, W), bilinear; as it is where the size is (0, 0)."""
    if not sizes[0]:
        return images
    return functional.interpolate(images, size=sizes, mode="bilinear", align_corners=False)
