"""Barlow Twins and VICReg: alike views, and features that do not repeat each other."""

from __future__ import annotations

import torch

from sysu30k_bench.training.ssl.lightly_parts import lightly_part
from sysu30k_bench.training.ssl.methods.method import Method, in_float32, precisely


class BarlowTwins(Method):
    """Zbontar et al., ICML 2021."""

    def build(self, width: int, *, processes: bool) -> None:
        """See `Method`."""
        part = self.recipe.head
        self.projection_head = lightly_part("models.modules", "BarlowTwinsProjectionHead")(
            width, part.hidden, part.output
        )
        self.criterion = lightly_part("loss", "BarlowTwinsLoss")(
            lambda_param=self.recipe.loss.redundancy, gather_distributed=processes
        )

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        left, right = in_float32(self.project(first, watch=True), self.project(second))
        with precisely(left):
            loss: torch.Tensor = self.criterion(left, right)
        return loss


class VICReg(Method):
    """Bardes et al., ICLR 2022."""

    def build(self, width: int, *, processes: bool) -> None:
        """See `Method`."""
        part, loss = self.recipe.head, self.recipe.loss
        self.projection_head = lightly_part("models.modules.heads", "VICRegProjectionHead")(
            width, part.hidden, part.output
        )
        self.criterion = lightly_part("loss", "VICRegLoss")(
            lambda_param=loss.invariance,
            mu_param=loss.variance,
            nu_param=loss.covariance,
            gather_distributed=processes,
        )

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        left, right = in_float32(self.project(first, watch=True), self.project(second))
        with precisely(left):
            loss: torch.Tensor = self.criterion(left, right)
        return loss
