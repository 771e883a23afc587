"""The loop: Lightning Fabric moves, scales and joins; what is ours is the order of batches and the losses."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch

from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.files import remove_partials, remove_quietly
from sysu30k_bench.progress import Progress
from sysu30k_bench.training.agreement import matched_share
from sysu30k_bench.training.fabric import BEFORE_FAULT, LAST, TrainRequest
from sysu30k_bench.training.images import Loaded, Position, TrainingImages, load
from sysu30k_bench.training.interruption import Interruption
from sysu30k_bench.training.logs import Logs
from sysu30k_bench.training.losses.total import Losses, losses_of
from sysu30k_bench.training.networks import Outputs, TrainedNetwork, build_network
from sysu30k_bench.training.optimizers import build_optimizer, set_rates
from sysu30k_bench.training.recipe import Recipe
from sysu30k_bench.training.replay import FaultFinder, weights_at_fault
from sysu30k_bench.training.state import State, resume, save
from sysu30k_bench.training.table import TrainingTable
from sysu30k_bench.training.validation import validate
from sysu30k_bench.training.weights import fill

if TYPE_CHECKING:
    from lightning_fabric import Fabric

BEST, CANDIDATE = "best.pt", "candidate.pt"
_SAVE_SECONDS = 300.0


class Trainer:
    """One run.

    Args:
        recipe: What to do.
        table: What to train on.
        request: How to run.
        fabric: The engine.
        progress: Told of batches done.
    """

    def __init__(
        self, recipe: Recipe, table: TrainingTable, request: TrainRequest, fabric: Fabric, progress: Progress
    ) -> None:
        self._recipe, self._table, self._request = recipe, table, request
        self._fabric, self._progress = fabric, progress
        torch.manual_seed(recipe.run.seed)
        self.network: TrainedNetwork = build_network(recipe.network.name, table.classes, recipe.network.norm)
        fill(self.network, recipe.network.weights)
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            convert: Any = torch.nn.SyncBatchNorm.convert_sync_batchnorm
            self.network = convert(self.network)
        self.optimizer = build_optimizer(self.network, recipe.optimizer)
        self.state = State(Position(0, 0), [], {}, -1.0)
        if request.go_on:
            path = request.folder / (BEFORE_FAULT if request.replay else LAST)
            self.state = resume(path, self.network, self.optimizer, recipe, table.fingerprint, fabric)
        size = len(table.plan.batch(0, 0).rows)
        if size % fabric.world_size:
            raise UsageError(f"a batch of {size} images cannot be shared among {fabric.world_size} processes")
        self._model, self._steps = fabric.setup(self.network, self.optimizer)
        self._logs = Logs(request.folder)
        self._saved = time.monotonic()

    def fit(self) -> State:
        """Trains to the end, or for as many batches as were asked for.

        Returns:
            Where the run is.

        Raises:
            IntegrityError: The loss is not finite, or an image is damaged.
        """
        recipe, length = self._recipe, self._table.plan.length()
        ahead = [
            Position(epoch, number)
            for epoch in range(self.state.position.epoch, recipe.run.epochs)
            for number in range(self.state.position.number if epoch == self.state.position.epoch else 0, length)
        ]
        if self._request.stop_after is not None:  # only between two steps of the optimiser can a run resume
            behind = range(self._request.stop_after, len(ahead) + 1)
            ahead = ahead[: next((count for count in behind if self._between_steps(ahead[count - 1])), len(ahead))]
        images = TrainingImages(
            self._table, recipe.input, ahead, recipe.run.seed, self._fabric.global_rank, self._fabric.world_size
        )
        self._mend()
        self._progress.begin("train", len(ahead), "batches")
        self._model.train()
        with Interruption() as interruption:
            for loaded in load(images, self._request.workers):
                self._step(loaded)
                self._progress.advance(1)
                self._after(loaded.position, length)
                if interruption.asked and self._between_steps(loaded.position):
                    self._save(LAST)
                    raise KeyboardInterrupt
        self._progress.end()
        self._save(LAST)
        return self.state

    def _mend(self) -> None:
        """Does what a killed process had no time for: its logs, and the removal of what it was writing."""
        if not self._fabric.is_global_zero:
            return
        remove_partials(self._request.folder)
        remove_quietly(self._request.folder / CANDIDATE)
        if self.state.history:
            self._logs.note(self.state.history, final=self.state.position.epoch >= self._recipe.run.epochs)

    def _between_steps(self, position: Position) -> bool:
        """Whether the optimiser has taken in every gradient: only then can a run resume without a difference."""
        number = position.number + 1
        return number % self._recipe.run.accumulate == 0 or number == self._table.plan.length()

    def _step(self, loaded: Loaded) -> None:
        run = self._recipe.run
        began = time.perf_counter()
        set_rates(self._steps, self._recipe.optimizer, loaded.position.epoch + 1)
        last = self._between_steps(loaded.position)
        with self._fabric.no_backward_sync(self._model, enabled=not last):
            losses = self._losses(loaded)
            if not torch.isfinite(losses.total):
                self._stop_at(loaded.position, losses.total.item())
            self._fabric.backward(losses.total / run.accumulate)
        if last:
            self._steps.step()
            self._steps.zero_grad()
        self._note(losses, loaded, time.perf_counter() - began)

    def _losses(self, loaded: Loaded) -> Losses:
        device = self._fabric.device
        outputs = self._together(self._model(loaded.images.to(device)))
        return losses_of(outputs, loaded.labels.to(device), self._recipe.loss)

    def _stop_at(self, position: Position, loss: float) -> None:
        """Keeps the weights as they were when the step began, which no gradient has changed since."""
        epoch, number = position
        begin = number - number % self._recipe.run.accumulate
        self.state.position = Position(epoch, begin)
        self._save(BEFORE_FAULT)
        raise IntegrityError(
            f"the loss is {loss} in epoch {epoch + 1}, batch {number + 1}",
            hint=f"the same command with --replay repeats that step from {BEFORE_FAULT} and names the faulty module; "
            "lower optimizer.lr, or use run.precision = '32-true'",
        )

    def replay(self) -> dict[str, Any]:
        """Does the forward passes of the step again that `before-fault.pt` is from, and nothing else.

        Returns:
            `epoch` and `batch` from 1, `losses` (total, unary, pairwise, triplet) of each batch of the step,
            `first_fault` (the first module whose output is not finite, empty where none is) and `weights_at_fault`.
        """
        epoch, begin = self.state.position
        end = min(begin + self._recipe.run.accumulate, self._table.plan.length())
        positions = [Position(epoch, number) for number in range(begin, end)]
        world, rank = self._fabric.world_size, self._fabric.global_rank
        images = TrainingImages(self._table, self._recipe.input, positions, self._recipe.run.seed, rank, world)
        self._model.train()
        told = []
        with FaultFinder(self.network) as finder, torch.no_grad():
            for loaded in load(images, 0):
                losses = self._losses(loaded)
                told.append({name: float(getattr(losses, name)) for name in ("total", "unary", "pairwise", "triplet")})
        return {
            "epoch": epoch + 1,
            "batch": begin + 1,
            "losses": told,
            "first_fault": finder.first,
            "weights_at_fault": weights_at_fault(self.network),
        }

    def _together(self, outputs: Outputs) -> Outputs:
        """Joins the processes' shares, so that every pair of the batch is seen; gradients flow back to each."""
        if self._fabric.world_size == 1:
            return outputs

        def joined(part: torch.Tensor) -> torch.Tensor:
            gathered: Any = self._fabric.all_gather(part, sync_grads=True)
            whole: torch.Tensor = gathered.flatten(0, 1)
            return whole

        return Outputs(
            [joined(part) for part in outputs.logits],
            [joined(part) for part in outputs.embeddings],
            joined(outputs.low_level),
        )

    def _note(self, losses: Losses, loaded: Loaded, seconds: float) -> None:
        sums = defaultdict(float, self.state.running)
        for name in ("total", "unary", "pairwise", "triplet"):
            sums[name] += float(getattr(losses, name).detach())
        if self._table.truth is not None:
            truth = self._table.truth[loaded.rows]
            bag = loaded.labels.bag.numpy()
            chosen = losses.chosen.cpu().numpy()
            sums["right"] += float((chosen == truth).mean())
            sums["matched"] += sum(matched_share(head, truth, bag) for head in chosen) / len(chosen)
        sums["images"] += len(loaded.rows)
        sums["seconds"] += seconds
        sums["batches"] += 1
        self.state.running = dict(sums)

    def _after(self, position: Position, length: int) -> None:
        if position.number + 1 < length:
            self.state.position = Position(position.epoch, position.number + 1)
            if time.monotonic() - self._saved > _SAVE_SECONDS and self._between_steps(position):
                self._save(LAST)
            return
        self.state.position = Position(position.epoch + 1, 0)
        self._finish_epoch(position.epoch + 1)

    def _finish_epoch(self, epoch: int) -> None:
        run, sums = self._recipe.run, self.state.running
        count = sums["batches"]
        row = {
            "epoch": float(epoch),
            "loss": sums["total"] / count,
            "unary": sums["unary"] / count,
            "pairwise": sums["pairwise"] / count,
            "triplet": sums["triplet"] / count,
            "lr": self._steps.param_groups[-1]["lr"],
            "images_per_second": sums["images"] / max(sums["seconds"], 1e-9),
        }
        if self._table.truth is not None:
            row["pseudo_label_accuracy"] = sums["right"] / count
            row["pseudo_label_agreement"] = sums["matched"] / count
        due = epoch == run.epochs or (run.validate_every > 0 and epoch % run.validate_every == 0)
        if due and self._table.validation is not None:
            self._save(CANDIDATE)
            row |= self._validated(epoch)
            if self._fabric.is_global_zero:
                remove_quietly(self._request.folder / CANDIDATE)
        self.state.history.append(row)
        self.state.running = {}
        if row.get("validation_rank1", -1.0) > self.state.best:
            self.state.best = row["validation_rank1"]
            self._save(BEST)
        if run.save_every and epoch % run.save_every == 0:
            self._save(f"epoch-{epoch:04d}.pt")
        self._save(LAST)
        if self._fabric.is_global_zero:
            self._logs.note(self.state.history, final=epoch == run.epochs)

    def _validated(self, epoch: int) -> dict[str, float]:
        measured: dict[str, float] = {}
        if self._fabric.is_global_zero and self._table.validation is not None:
            folder = self._request.folder
            measured = validate(
                folder / CANDIDATE, self._table.validation, folder / "validation" / f"epoch-{epoch:04d}", self._recipe
            )
        gathered: dict[str, float] = self._fabric.broadcast(measured)
        return gathered

    def _save(self, name: str) -> None:
        if self._fabric.is_global_zero:
            path = self._request.folder / name
            save(path, self.network, self.optimizer, self._recipe, self._table.fingerprint, self.state, self._fabric)
        self._saved = time.monotonic()
