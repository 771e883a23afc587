"""The loop of self-supervised methods, on the engine of `train`."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from sysu30k_bench.errors import IntegrityError
from sysu30k_bench.files import remove_partials, write_atomically
from sysu30k_bench.progress import Progress
from sysu30k_bench.training.fabric import BEFORE_FAULT, LAST, TrainRequest
from sysu30k_bench.training.interruption import Interruption
from sysu30k_bench.training.logs import Logs
from sysu30k_bench.training.replay import FaultFinder, weights_at_fault
from sysu30k_bench.training.ssl.backbone import build_backbone
from sysu30k_bench.training.ssl.batches import Batch, Plan, ViewBatches, Views, load_views
from sysu30k_bench.training.ssl.methods.build import build_method
from sysu30k_bench.training.ssl.methods.method import Method, Moment, Sizes
from sysu30k_bench.training.ssl.monitor import look
from sysu30k_bench.training.ssl.optimizers import build_ssl_optimizer, set_ssl_rate
from sysu30k_bench.training.ssl.recipe import SslRecipe, ViewsPart
from sysu30k_bench.training.ssl.state import Parts, SslState, resume, save
from sysu30k_bench.training.ssl.table import ImageTable

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MONITORS_NAME = "monitors.csv"
_SAVE_SECONDS = 300.0


class SslTrainer:
    """One run.

    Args:
        recipe: What to do.
        table: What to train on.
        request: How to run.
        fabric: The engine.
        progress: Told of steps done.

    Raises:
        BenchError: Recipe, data, weights or checkpoint do not fit each other.
    """

    def __init__(
        self, recipe: SslRecipe, table: ImageTable, request: TrainRequest, fabric: Fabric, progress: Progress
    ) -> None:
        self._recipe, self._table, self._request = recipe, table, request
        self._fabric, self._progress = fabric, progress
        self._plan = Plan.of(recipe, table.count, fabric.world_size)
        torch.manual_seed(recipe.run.seed)
        backbone, width = build_backbone(recipe.network)
        self.network: Method = build_method(recipe, backbone, width, processes=fabric.world_size > 1)
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            convert: Any = torch.nn.SyncBatchNorm.convert_sync_batchnorm
            self.network = convert(self.network)
        optimizer = build_ssl_optimizer(self.network, recipe.optimizer)
        self._parts = Parts(self.network, optimizer, fabric, recipe, table.fingerprint)
        self.state = SslState()
        if request.go_on:
            self.state = resume(request.folder / (BEFORE_FAULT if request.replay else LAST), self._parts)
        self._model, self._steps = fabric.setup(self.network, optimizer)
        self._logs = Logs(request.folder)
        self._saved = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether every epoch is done."""
        return self.state.epoch >= self._recipe.run.epochs

    def fit(self) -> SslState:
        """Trains to the end, or for as many steps as were asked for.

        Returns:
            Where the run is.

        Raises:
            IntegrityError: The loss is not finite, or an image is damaged.
        """
        ahead = self._ahead()
        world, rank = self._fabric.world_size, self._fabric.global_rank
        mine = [Batch(epoch, step, chunk) for epoch, step in ahead for chunk in range(rank, self._plan.chunks, world)]
        views = ViewBatches(self._table, self._recipe, self._plan, mine)
        if self._fabric.is_global_zero:
            remove_partials(self._request.folder)
            if self.state.history:
                self._logs.note(self.state.history, final=self.finished)
        self._progress.begin("train", len(ahead), "steps")
        self._model.train()
        with Interruption() as interruption:
            for loaded in load_views(views, self._request.workers):
                if self._forward(loaded):
                    self._progress.advance(1)
                    self._after(loaded.batch)
                    if interruption.asked:
                        self._save(LAST)
                        raise KeyboardInterrupt
        self._progress.end()
        self._save(LAST)
        return self.state

    def replay(self) -> dict[str, Any]:
        """Does the next step's forward passes again, and nothing else.

        Returns:
            `epoch` and `step` from 1, `losses` of this process's batches, `first_fault` (the first module whose output
            is not finite, empty where none is) and `weights_at_fault`.
        """
        epoch, step = self._ahead()[0]
        world, rank = self._fabric.world_size, self._fabric.global_rank
        mine = [Batch(epoch, step, chunk) for chunk in range(rank, self._plan.chunks, world)]
        views = ViewBatches(self._table, self._recipe, self._plan, mine)
        self._model.train()
        with FaultFinder(self.network) as finder, torch.no_grad():
            losses = [float(self._loss(loaded)) for loaded in load_views(views, 0)]
        return {
            "epoch": epoch + 1,
            "step": step + 1,
            "losses": losses,
            "first_fault": finder.first,
            "weights_at_fault": weights_at_fault(self.network),
        }

    def _ahead(self) -> list[tuple[int, int]]:
        state, steps = self.state, self._plan.steps
        ahead = [
            (epoch, step)
            for epoch in range(state.epoch, self._recipe.run.epochs)
            for step in range(state.step if epoch == state.epoch else 0, steps)
        ]
        return ahead if self._request.stop_after is None else ahead[: self._request.stop_after]

    def _forward(self, loaded: Views) -> bool:
        """Adds the gradients of one batch; returns whether they completed a step of the optimiser."""
        began = time.perf_counter()
        batch = loaded.batch
        share = self._plan.chunks // self._fabric.world_size
        last = batch.chunk // self._fabric.world_size == share - 1
        with self._fabric.no_backward_sync(self._model, enabled=not last):
            loss = self._loss(loaded)
            shared: Any = self._fabric.all_reduce(loss.detach().clone(), reduce_op="mean")  # all stop, or none
            if not torch.isfinite(shared):
                self._stop_at(batch, float(shared))
            self._fabric.backward(loss / share)
        sums = defaultdict(float, self.state.running)
        sums["loss"] += float(shared)
        sums["batches"] += 1
        sums["images"] += len(loaded.first) * self._fabric.world_size
        if last:
            self._steps.step()
            self._steps.zero_grad()
        sums["seconds"] += time.perf_counter() - began
        self.state.running = dict(sums)
        return last

    def _loss(self, loaded: Views) -> torch.Tensor:
        """Computes the loss of one batch; the first of a step sets the rate and moves the slow copy."""
        batch, device = loaded.batch, self._fabric.device
        if batch.chunk < self._fabric.world_size:
            self._begin(batch)
        torch.manual_seed(int(np.random.SeedSequence([self._recipe.run.seed, 13, *batch]).generate_state(1)[0]))
        loss: torch.Tensor = self._model(*(view.to(device) for view in loaded.every))
        return loss

    def _begin(self, batch: Batch) -> None:
        recipe, steps = self._recipe, self._plan.steps
        step, total = batch.epoch * steps + batch.step, recipe.run.epochs * steps
        set_ssl_rate(self._steps, recipe.optimizer, step, total, recipe.run.epochs)
        rng = np.random.default_rng([recipe.run.seed, 14, batch.epoch, batch.step])
        online, target = (drawn_sizes(recipe.views, online=online, rng=rng) for online in (True, False))
        self.network.begin_step(Moment(step, total, batch.epoch, online, target))

    def _stop_at(self, batch: Batch, loss: float) -> None:
        self._save(BEFORE_FAULT)
        raise IntegrityError(
            f"the loss is {loss} in epoch {batch.epoch + 1}, step {batch.step + 1}",
            hint=f"the same command with --replay repeats that step from {BEFORE_FAULT} and names the faulty module; "
            "lower optimizer.lr, or use run.precision = '32-true'",
        )

    def _after(self, batch: Batch) -> None:
        run = self._recipe.run
        step = batch.epoch * self._plan.steps + batch.step
        if run.monitor_every and step % run.monitor_every == 0 and self.network.features is not None:
            self.state.monitors.append({"step": float(step), **look(self.network.features)})
        if batch.step + 1 < self._plan.steps:
            self.state.epoch, self.state.step = batch.epoch, batch.step + 1
            if time.monotonic() - self._saved > _SAVE_SECONDS:
                self._save(LAST)
            return
        self.state.epoch, self.state.step = batch.epoch + 1, 0
        self._finish_epoch(batch.epoch + 1)

    def _finish_epoch(self, epoch: int) -> None:
        sums = self.state.running
        row = {
            "epoch": float(epoch),
            "loss": sums["loss"] / sums["batches"],
            "lr": float(self._steps.param_groups[0]["lr"]),
            "ema": self.network.ema(self.network.moment),
            "images_per_second": sums["images"] / max(sums["seconds"], 1e-9),
        }
        if self.network.features is not None:
            row |= look(self.network.features)
        self.state.history.append(row)
        self.state.running = {}
        if self._recipe.run.save_every and epoch % self._recipe.run.save_every == 0:
            self._save(f"epoch-{epoch:04d}.pt")
        self._save(LAST)
        if self._fabric.is_global_zero:
            self._logs.note(self.state.history, final=self.finished)
            looks = pd.DataFrame(self.state.monitors).to_csv(index=False)
            write_atomically(self._request.folder / MONITORS_NAME, looks.encode())

    def _save(self, name: str) -> None:
        if self._fabric.is_global_zero:
            save(self._request.folder / name, self._parts, self.state)
        self._saved = time.monotonic()


def drawn_sizes(part: ViewsPart, *, online: bool, rng: np.random.Generator) -> Sizes:
    """Draws the rows and columns to which a batch's views are resized; (0, 0) for as they are."""
    low, high = part.online_sides if online else part.target_sides
    if not high:
        return 0, 0
    rows = int(rng.integers(low, high + 1))
    return rows, max(1, round(rows * part.width / part.height))
