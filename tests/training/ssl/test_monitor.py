"""Looks at features against naive formulas, and in a training of Lightning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sysu30k_bench.metrics.health import effective_rank
from sysu30k_bench.training.ssl.monitor import look


@pytest.mark.parametrize("shape", [(9, 4), (5, 20)])
def test_against_naive_formulas(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    values, others = rng.standard_normal((2, *shape)) + 0.5
    seen = look(torch.from_numpy(values), torch.from_numpy(others))
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    other = others / np.linalg.norm(others, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(shape[0]) for j in range(shape[0]) if i != j]
    singular = np.linalg.svd(values, compute_uv=False)
    shares = singular / singular.sum()
    norms = np.linalg.norm(values, axis=1)
    wanted = {
        "effective_rank": effective_rank(values),
        "rankme": np.exp(-(shares * np.log(shares)).sum()),
        "uniformity": np.log(np.mean([np.exp(-2 * np.sum((unit[i] - unit[j]) ** 2)) for i, j in pairs])),
        "mean_cosine": np.mean([unit[i] @ unit[j] for i, j in pairs]),
        "norm": norms.mean(),
        "norm_spread": norms.std() / norms.mean(),
        "alignment": np.mean(np.sum((unit - other) ** 2, axis=1)),
        "finite": 1.0,
    }
    assert seen == pytest.approx(wanted, rel=1e-4)


def test_what_cannot_be_looked_at() -> None:
    assert look(torch.tensor([[1.0, float("nan")], [0.0, 1.0]]))["finite"] == 0
    assert np.isnan(look(torch.zeros(1, 3))["rankme"])
    still = look(torch.ones(8, 4))
    assert still["mean_cosine"] == pytest.approx(1)
    assert still["effective_rank"] == 0


@pytest.mark.parametrize("collapse", [True, False])
def test_the_callback_stops_a_collapsed_training(collapse: bool) -> None:
    lightning: Any = pytest.importorskip("pytorch_lightning")
    from sysu30k_bench.training.ssl.lightning_callback import HealthCallback

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Linear(4, 4)
            if collapse:
                nn.init.zeros_(self.backbone.weight)

        def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
            del index
            return self.backbone(batch).square().mean() * 0 + self.backbone.weight.sum() * 0

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    torch.manual_seed(0)
    loader = torch.utils.data.DataLoader(torch.randn(64, 4), batch_size=8)
    health = HealthCallback(every=2, stop=True)
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
                                enable_progress_bar=False, enable_model_summary=False, callbacks=[health])  # fmt: skip
    trainer.fit(Module(), loader)
    assert ("nearly all the same" in health.reason) == collapse
    assert (trainer.global_step == 1) == collapse
    assert health.last["finite"] == 1
