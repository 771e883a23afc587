"""The callback under both packages of Lightning."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import sysu30k_bench as sb

pytestmark = pytest.mark.filterwarnings("ignore::Warning")


@pytest.mark.parametrize("home", ["lightning.pytorch", "pytorch_lightning"])
def test_it_evaluates_after_validation_and_others_can_monitor_it(home: str, own_twin: Path, tmp_path: Path) -> None:
    lightning: Any = pytest.importorskip(home)
    callbacks = importlib.import_module(f"{home}.callbacks")
    from sysu30k_bench.api.lightning import RetrievalCallback

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(2), nn.Flatten())
            self.head = nn.Linear(32, 2)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            loss: torch.Tensor = nn.functional.cross_entropy(self.head(self.trunk(batch[0])), batch[1])
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            pass

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

        def embed(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.trunk(images)
            return found

    loader: Any = DataLoader(TensorDataset(torch.rand(8, 3, 32, 16), torch.arange(8) % 2), batch_size=4)
    steps: list[int | None] = []
    ours = RetrievalCallback(
        own_twin,
        embed="embed",
        every_n_epochs=2,
        log_to=[tmp_path / "log.csv", lambda _, step: steps.append(step)],
        limit=4,
        height=32,
        width=16,
    )
    best = callbacks.ModelCheckpoint(dirpath=tmp_path, monitor="retrieval/rank1", mode="max", every_n_epochs=2)
    trainer = lightning.Trainer(
        max_epochs=4,
        accelerator="cpu",
        devices=1,
        logger=False,
        callbacks=[ours, best],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Module(), loader, loader)
    assert steps == [1, 3]
    assert ours.result is not None
    assert trainer.callback_metrics["retrieval/rank1"].item() == pytest.approx(ours.result.rank1.value)
    assert Path(best.best_model_path).is_file()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


def test_a_function_of_the_module_embeds(own_twin: Path) -> None:
    from sysu30k_bench.api.lightning import RetrievalCallback

    callback = RetrievalCallback(own_twin, embed=lambda module, images: module.trunk(images))
    module = nn.Module()
    module.trunk = nn.Flatten()
    assert callback._network(module)(torch.ones(2, 3, 4, 4)).shape == (2, 48)
    with pytest.raises(sb.UsageError, match="every_n_epochs is 0"):
        RetrievalCallback(own_twin, every_n_epochs=0)
