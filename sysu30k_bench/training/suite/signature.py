"""What one run leaves: figures of its losses, of how its weights moved, of its embeddings, and of retrieval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.training.ssl.monitor import look
from sysu30k_bench.training.ssl.recipe import MethodName
from sysu30k_bench.training.suite.people import Pair, TestPeople, test_people, views_of
from sysu30k_bench.training.suite.task import BATCH, STEPS, Factory, suite_recipe

TRAJECTORY = ("loss", "moved")
EMBEDDINGS = ("embedding", "statistics")
RETRIEVAL = ("retrieval",)
Signature = dict[str, float]
_TINY = 1e-4


def sign(method: MethodName, factory: Factory, seed: int, heads: int = 0) -> Signature:
    """Trains an implementation for some seconds, and measures it.

    Args:
        method: Says the recipe.
        factory: Makes the implementation.
        seed: Of data, views and trunk: implementations that are compared share them.
        heads: Of everything else that is random, such as the first weights of heads.

    Returns:
        Figures by name, `KIND.name`; NaN or infinite where the run broke.
    """
    recipe = suite_recipe(method)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = TinyNet()
        torch.manual_seed(1_000_003 * (seed + 1) + heads)
        candidate = factory(trunk, recipe)
        start = _weights(candidate.backbone)
        losses, moves = [], []
        before = start
        for first, second in _views(method, seed):
            losses.append(candidate.step(first, second))
            after = _weights(candidate.backbone)
            moves.append(float((after - before).norm()))
            before = after
    found = _trajectory(losses, moves, float((before - start).norm()))
    found |= _statistics(candidate.backbone)
    with torch.no_grad():
        was = candidate.backbone.training
        candidate.backbone.eval()
        people = test_people()
        queries, gallery = (candidate.backbone(images).flatten(1) for images in (people.queries, people.gallery))
        candidate.backbone.train(was)
    return found | measure(queries, gallery)


@lru_cache(maxsize=24)
def _views(method: MethodName, seed: int) -> list[Pair]:
    return _drawn(suite_recipe(method).views.model_dump_json(), seed)


@lru_cache(maxsize=24)
def _drawn(part: str, seed: int) -> list[Pair]:
    """Methods of equal augmentation share the views."""
    from sysu30k_bench.training.ssl.recipe import ViewsPart

    return views_of(ViewsPart.model_validate_json(part), seed, STEPS, BATCH)


def _weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()


def _trajectory(losses: Sequence[float], moves: Sequence[float], total: float) -> Signature:
    quarter = len(losses) // 4
    found = {"loss.first": losses[0], "loss.second": losses[1]}
    for number in range(4):
        found[f"loss.quarter{number + 1}"] = float(np.mean(losses[number * quarter : (number + 1) * quarter]))
    found["moved.first"] = _log(moves[0])
    found["moved.early"] = _log(float(np.mean(moves[1:quarter])))
    found["moved.late"] = _log(float(np.mean(moves[-quarter:])))
    found["moved.altogether"] = _log(total)
    return found


def _statistics(network: nn.Module) -> Signature:
    """How far batch norms have come from where they begin: a mean of 0."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001  torch has no public base
    means = [float(module.running_mean.norm()) for module in norms if module.running_mean is not None]
    return {"statistics.means": _log(float(np.mean(means)))} if means else {}


def measure(queries: torch.Tensor, gallery: torch.Tensor) -> Signature:
    """Measures embeddings and retrieval.

    Args:
        queries: (Q, D); row i shows the person of row i of the gallery.
        gallery: (Q, D).
    """
    seen = look(queries, gallery)
    unit = [functional.normalize(part.double(), dim=1) for part in (queries, gallery)]
    scores = unit[0] @ unit[1].T
    # of equal scores the match comes last
    ranks = (scores >= scores.diagonal()[:, None]).sum(dim=1).double()
    return {
        "embedding.rank": seen["effective_rank"],
        "embedding.uniformity": seen["uniformity"],
        "embedding.alignment": seen.get("alignment", math.nan),
        "embedding.cosine": seen["mean_cosine"],
        "embedding.norm": _log(seen["norm"]),
        "embedding.spread": seen["norm_spread"],
        "retrieval.log_rank": float(ranks.log().mean()) if seen["finite"] else math.nan,
        "retrieval.ap": float((1 / ranks).mean()) if seen["finite"] else math.nan,
    }


def _log(value: float) -> float:
    return math.log(value + _TINY) if math.isfinite(value) else math.nan


def tested_people() -> TestPeople:
    """Returns the people that retrieval is measured on."""
    return test_people()
