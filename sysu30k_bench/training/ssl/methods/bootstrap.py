"""BYOL and SimSiam: one view predicts the other, and no gradient goes the other way."""

from __future__ import annotations

import torch

from sysu30k_bench.training.ssl.lightly_parts import lightly_part
from sysu30k_bench.training.ssl.methods.method import Method, in_float32, precisely


class BYOL(Method):
    """Grill et al., NeurIPS 2020: a predictor on the trained network, a slow copy as the target, both orders."""

    def build(self, width: int, *, processes: bool) -> None:  # noqa: ARG002  no loss here looks at other images
        """See `Method`."""
        part = self.recipe.head
        self.projection_head = lightly_part("models.modules", "BYOLProjectionHead")(width, part.hidden, part.output)
        self.prediction_head = lightly_part("models.modules", "BYOLPredictionHead")(
            part.output, part.predictor, part.output
        )
        self.add_slow_copy()
        self.criterion = lightly_part("loss", "NegativeCosineSimilarity")()

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        predicted = in_float32(self.prediction_head(self.project(first, watch=True)))
        target = in_float32(self.project_slowly(first))
        predicted += in_float32(self.prediction_head(self.project(second)))
        target += in_float32(self.project_slowly(second))
        with precisely(first):
            return 0.5 * (self.cost(predicted[0], target[1]) + self.cost(predicted[1], target[0]))

    def cost(self, predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Returns the loss of one order of the views.

        Args:
            predicted: (N, D) float32.
            target: (N, D) float32, without gradient.
        """
        loss: torch.Tensor = self.criterion(predicted, target)
        return loss


class SimSiam(Method):
    """Chen and He, CVPR 2021: as BYOL, with the network itself as the target."""

    def build(self, width: int, *, processes: bool) -> None:  # noqa: ARG002  no loss here looks at other images
        """See `Method`."""
        part = self.recipe.head
        self.projection_head = lightly_part("models.modules", "SimSiamProjectionHead")(width, part.hidden, part.output)
        self.prediction_head = lightly_part("models.modules", "SimSiamPredictionHead")(
            part.output, part.predictor, part.output
        )
        self.criterion = lightly_part("loss", "NegativeCosineSimilarity")()

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        left, right = self.project(first, watch=True), self.project(second)
        guesses = in_float32(self.prediction_head(left), self.prediction_head(right))
        targets = in_float32(left.detach(), right.detach())
        with precisely(first):
            loss: torch.Tensor = 0.5 * (self.criterion(guesses[0], targets[1]) + self.criterion(guesses[1], targets[0]))
        return loss
