"""A candidate beside the reference from the very same weights: more than rounding is a deviation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.training.ssl.recipe import MethodName, ViewsPart
from sysu30k_bench.training.suite.people import Pair, views_of
from sysu30k_bench.training.suite.task import BATCH, Candidate, Factory, Reference, suite_recipe

LOCKED = 10
_NUDGE, _TIMES = 1e-7, 30.0
_SHARE, _OF_RANGE = 1e-3, 2e-3
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Lockstep:
    """What the comparison finds.

    Attributes:
        step: The first step that deviates, from 1; 0 where none does.
        what: `loss` or `moved`, the distance that the trunk's weights moved.
        difference: Candidate less reference there.
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
        return (
            f"from the same weights, {self.what} of step {self.step} differs by {self.difference:+.3g}, where rounding "
            f"makes at most {self.rounding:.2g}"
        )


def lockstep(method: MethodName, factory: Factory, seed: int, heads: int = 0) -> Lockstep | None:
    """Runs a candidate and the reference side by side for ten steps, from the candidate's first weights.

    How far rounding drives two right implementations apart is measured: the reference runs once more from weights that
    are nudged in their last bits, and thirty times the gap that this opens is allowed, besides a
    thousandth of each figure (of a loss at most 2e-3 of the range of the ten), for ReLUs on the brink amplify rounding
    by more than one nudge shows.

    Args:
        method: Says the recipe.
        factory: Makes the candidate.
        seed: Of views and trunk.
        heads: Of everything else that is random.

    Returns:
        The finding; None where the candidate's heads cannot be recognised, which are the trainable parameters of the
        modules among its attributes, in the order and shapes that the reference has.
    """
    recipe = suite_recipe(method)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = TinyNet()
        torch.manual_seed(1_000_003 * (seed + 1) + heads)
        candidate = factory(trunk, recipe)
        runs = [Reference(TinyNet(), recipe) for _ in range(2)]
        for run in runs:
            if not _take_over(run, candidate, trunk):
                return None
        with torch.no_grad():
            for parameter in runs[1].method.backbone.parameters():
                parameter.mul_(1 + _NUDGE * torch.randn_like(parameter))
        views = _views(recipe.views.model_dump_json(), seed)
        ours, right, nudged = (list(_curve(run, views)) for run in (candidate, *runs))
    return _compare(ours, right, nudged)


def _take_over(run: Reference, candidate: Candidate, trunk: nn.Module) -> bool:
    """Copies a candidate's first weights into a reference, and makes its slow copies anew."""
    run.method.backbone.load_state_dict(trunk.state_dict())
    known = {id(parameter) for parameter in trunk.parameters()}
    own = {id(parameter) for parameter in run.method.backbone.parameters()}
    theirs = [value for value in _parameters(candidate) if id(value) not in known]
    ours = [value for value in run.method.parameters() if value.requires_grad and id(value) not in own]
    if [value.shape for value in theirs] != [value.shape for value in ours]:
        return False
    with torch.no_grad():
        for value, other in zip(ours, theirs, strict=True):
            value.copy_(other)
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


def _curve(run: Candidate, views: list[Pair]) -> Iterator[tuple[float, float]]:
    before = _flat(run.backbone)
    for first, second in views:
        loss = run.step(first, second)
        after = _flat(run.backbone)
        yield loss, float((after - before).norm())
        before = after


def _flat(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()


@lru_cache(maxsize=24)
def _views(part: str, seed: int) -> list[Pair]:
    return views_of(ViewsPart.model_validate_json(part), seed, LOCKED, BATCH)


def _compare(ours: Curve, right: Curve, nudged: Curve) -> Lockstep:
    gap = [0.0, 0.0]
    losses = [loss for loss, _ in right]
    most = (_OF_RANGE * (max(losses) - min(losses)), math.inf)
    for step, (mine, theirs, beside) in enumerate(zip(ours, right, nudged, strict=True), start=1):
        for place, what in enumerate(("loss", "moved")):
            gap[place] = max(gap[place], abs(beside[place] - theirs[place]))
            allowed = _TIMES * gap[place] + min(_SHARE * (abs(theirs[place]) + 1e-3), most[place])
            difference = mine[place] - theirs[place]
            if not math.isfinite(difference) or abs(difference) > allowed:
                return Lockstep(step, what, difference, allowed)
    return Lockstep()
