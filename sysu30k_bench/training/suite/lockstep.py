"""A candidate beside the reference, each step from the very same weights: more than rounding is a deviation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.training.ssl.recipe import MethodName, ViewsPart
from sysu30k_bench.training.suite.people import Pair, views_of
from sysu30k_bench.training.suite.task import BATCH, Candidate, Factory, Reference, suite_recipe

LOCKED = 10
_NUDGE, _NUDGED = 1e-6, 2
_TIMES = {"loss": 20.0, "moved": 5.0}
_SHARES = {"loss": 1e-4, "moved": 1e-2}
_SEED = 20_2402
Weights = Sequence[torch.Tensor]


@dataclass(frozen=True)
class Lockstep:
    """What the comparison finds.

    Attributes:
        step: The first step that deviates, from 1; 0 where none does.
        what: `loss` or `moved`, the change of the trunk's weights in that step.
        difference: Candidate less reference there; of the way, the length of the difference of both.
        rounding: What rounding may make of it.
    """

    step: int = 0
    what: str = ""
    difference: float = 0.0
    rounding: float = 0.0

    @property
    def reason(self) -> str:
        """The finding in a sentence; empty where nothing deviates."""
        if not self.step:
            return ""
        subject = "loss" if self.what == "loss" else "the change of the trunk's weights"
        size = f"{self.difference:+.3g}" if self.what == "loss" else f"{self.difference:.3g}"
        return (
            f"from the same weights, {subject} in step {self.step} differs by {size}; rounding "
            f"causes at most {self.rounding:.2g}"
        )


@dataclass(frozen=True)
class Beside:
    """One step of everyone, from the same weights.

    Attributes:
        losses: Of the candidate, the reference, and the nudged references.
        ways: How the weights of each one's trunk changed, flat.
    """

    losses: list[float]
    ways: list[torch.Tensor]


def lockstep(method: MethodName, factory: Factory, seed: int, heads: int = 0) -> Lockstep | None:
    """Runs a candidate and the reference side by side for ten steps, each from the weights that the candidate has.

    Before each step the reference takes over the candidate's trainable weights, and keeps all else of its own: the
    optimiser's memory, slow copies, negatives. So a deviation shows in the step that makes it, and rounding does not
    grow from step to step as it does between two free runs. How much rounding makes of one step is measured: two more
    references start from weights that are nudged in their last bits. Of the largest gap so far that this opens, twenty
    times are allowed for a loss, besides 1e-4 of it, and five times for a way, besides 1e-2 of it: a ReLU on the brink
    that rounding tips over changes a gradient by more than rounding does.

    Args:
        method: Says the recipe.
        factory: Makes the candidate.
        seed: Of views and trunk.
        heads: Of everything else that is random.

    Returns:
        The finding; None where the candidate's heads cannot be recognised, which are the trainable parameters of the
        modules among its attributes, in the order and shapes that the reference has.
    """
    done = side_by_side(method, factory, seed, heads)
    return None if done is None else compare(done)


def side_by_side(method: MethodName, factory: Factory, seed: int, heads: int) -> list[Beside] | None:
    """Does the steps of `lockstep`; see there for arguments and None."""
    recipe = suite_recipe(method)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = TinyNet()
        torch.manual_seed(1_000_003 * (seed + 1) + heads)
        candidate = factory(trunk, recipe)
        references = [Reference(TinyNet(), recipe) for _ in range(1 + _NUDGED)]
        if not all(_take_over(run, candidate, trunk) for run in references):
            return None
        theirs = _learning(trunk, _parameters(candidate))
        ours = [_learning(run.method.backbone, run.method.parameters()) for run in references]
        noise, size = torch.Generator().manual_seed(_SEED), len(list(trunk.parameters()))
        done = []
        for first, second in _views(recipe.views.model_dump_json(), seed):
            for number, weights in enumerate(ours):
                _follow(weights, theirs, noise if number else None)
            before = [_flat(weights[:size]) for weights in (theirs, *ours)]
            losses = [run.step(first, second) for run in (candidate, *references)]
            after = [_flat(weights[:size]) for weights in (theirs, *ours)]
            done.append(Beside(losses, [new - old for new, old in zip(after, before, strict=True)]))
    return done


@torch.no_grad()
def _follow(weights: Weights, theirs: Weights, noise: torch.Generator | None) -> None:
    """Copies the candidate's weights into a reference, nudged in their last bits where noise is given."""
    for value, other in zip(weights, theirs, strict=True):
        value.copy_(other)
        if noise is not None:
            value.mul_(1 + _NUDGE * torch.randn(value.shape, generator=noise))


def _take_over(run: Reference, candidate: Candidate, trunk: nn.Module) -> bool:
    """Copies a candidate's first weights into a reference, and resets its slow copies."""
    run.method.backbone.load_state_dict(trunk.state_dict())
    theirs = _learning(trunk, _parameters(candidate))
    ours = _learning(run.method.backbone, run.method.parameters())
    if [value.shape for value in theirs] != [value.shape for value in ours]:
        return False
    _follow(ours, theirs, None)
    with torch.no_grad():
        memory = _memories(run.method)
        found = [buffer for part in _modules(candidate) for buffer in _memories(part)]
        for mine, given in zip(memory, found, strict=False):
            if mine.shape != given.shape:
                return False
            mine.copy_(given)
        if memory and not found:
            return False
    for name in run.method.pair:
        slow = getattr(run.method, f"{name}{run.method.suffix}", None)
        if slow is not None:
            slow.load_state_dict(getattr(run.method, name).state_dict())
    return True


def _modules(candidate: Candidate) -> list[nn.Module]:
    if isinstance(candidate, nn.Module):
        return [candidate]
    return [value for value in vars(candidate).values() if isinstance(value, nn.Module)]


def _memories(module: nn.Module) -> list[torch.Tensor]:
    return [buffer for name, buffer in module.named_buffers() if name.endswith("bank") and buffer.numel()]


def _parameters(candidate: Candidate) -> list[nn.Parameter]:
    found: dict[int, nn.Parameter] = {}
    for module in _modules(candidate):
        found |= {id(value): value for value in module.parameters() if value.requires_grad}
    return list(found.values())


def _learning(trunk: nn.Module, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Returns what is trained, the trunk's first."""
    own = list(trunk.parameters())
    known = {id(parameter) for parameter in own}
    return own + [value for value in parameters if value.requires_grad and id(value) not in known]


def _flat(weights: Weights) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().double() for parameter in weights])


@lru_cache(maxsize=24)
def _views(part: str, seed: int) -> list[Pair]:
    return views_of(ViewsPart.model_validate_json(part), seed, LOCKED, BATCH)


def compare(done: Sequence[Beside]) -> Lockstep:
    """Returns the first deviation of steps that were done side by side."""
    gaps = {"loss": 0.0, "moved": 0.0}
    for step, one in enumerate(done, start=1):
        right, way = one.losses[1], one.ways[1]
        gaps["loss"] = max(gaps["loss"], *(abs(loss - right) for loss in one.losses[2:]))
        gaps["moved"] = max(gaps["moved"], *(float((other - way).norm()) for other in one.ways[2:]))
        found = {"loss": one.losses[0] - right, "moved": float((one.ways[0] - way).norm())}
        sizes = {"loss": abs(right), "moved": float(way.norm())}
        for what, difference in found.items():
            allowed = _TIMES[what] * gaps[what] + _SHARES[what] * (sizes[what] + 1e-3)
            if not math.isfinite(difference) or abs(difference) > allowed:
                return Lockstep(step, what, difference, allowed)
    return Lockstep()
