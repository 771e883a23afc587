"""SimCLR and MoCo v2: the other view of the same image among those of other images."""

from __future__ import annotations

import torch

from sysu30k_bench.training.ssl.lightly_parts import lightly_part
from sysu30k_bench.training.ssl.methods.method import Method, in_float32, precisely


class SimCLR(Method):
    """Chen et al., ICML 2020: normalised, temperature-scaled cross-entropy within the batch."""

    def build(self, width: int, *, processes: bool) -> None:
        """See `Method`."""
        part = self.recipe.head
        self.projection_head = lightly_part("models.modules", "SimCLRProjectionHead")(width, part.hidden, part.output)
        self.criterion = lightly_part("loss", "NTXentLoss")(
            temperature=self.recipe.loss.temperature, gather_distributed=processes
        )

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        left, right = in_float32(self.project(first, watch=True), self.project(second))
        with precisely(left):
            loss: torch.Tensor = self.criterion(left, right)
        return loss


class MoCo(Method):
    """He et al., CVPR 2020, with the head of Chen et al., 2020 (v2): keys of a slow copy, negatives from a memory.

    First views are queries, second views keys, as published.
    """

    def build(self, width: int, *, processes: bool) -> None:
        """See `Method`."""
        part = self.recipe.head
        self.projection_head = lightly_part("models.modules", "MoCoProjectionHead")(width, part.hidden, part.output)
        self.add_slow_copy()
        self._processes = processes
        self.criterion = lightly_part("loss", "NTXentLoss")(
            temperature=self.recipe.loss.temperature,
            memory_bank_size=(self.recipe.loss.memory, part.output),
            gather_distributed=processes,
        )
        memory = self.criterion.memory_bank
        for name in ("bank", "bank_ptr"):  # lightly does not save them, and a run that is resumed needs them
            memory.register_buffer(name, getattr(memory, name), persistent=True)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        query, key = in_float32(self.project(first, watch=True), self._keys(second))
        with precisely(query):
            loss: torch.Tensor = self.criterion(query, key)
        return loss

    @torch.no_grad()
    def _keys(self, images: torch.Tensor) -> torch.Tensor:
        """Keys; of images shuffled among processes, or else a batch norm over each one's own tells whose they are."""
        if not self._processes:
            return self.project_slowly(images)
        shuffled, order = lightly_part("models.utils", "batch_shuffle")(images, distributed=True)
        back = lightly_part("models.utils", "batch_unshuffle")
        keys: torch.Tensor = back(self.project_slowly(shuffled), order, distributed=True)
        return keys
