"""A look at a batch of features while a network trains: cheap enough for every few steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

_MOST = 256
ALIKE, LEAST_RANKME = 0.999, 2.0


@torch.no_grad()
def look(features: torch.Tensor, others: torch.Tensor | None = None) -> dict[str, float]:
    """Measures how features are spread.

    Effective rank and uniformity depend on the method, the width and the batch: compare them within one method and one
    training, never between methods.

    Args:
        features: (N, D) of different images; the first 256 are looked at.
        others: (N, D) of other views of the same images, for `alignment`.

    Returns:
        `effective_rank`: exponential of the entropy of the centred spectrum's squares (Roy and Vetterli, EUSIPCO 2007).
        `rankme`: the same of the uncentred singular values (Garrido et al., ICML 2023).
        `uniformity`: logarithm of the mean of exp(-2 d^2) over pairs of unit vectors; lower is more even (Wang and
        Isola, ICML 2020). `mean_cosine` between images. `norm` and `norm_spread`: mean length, and its standard
        deviation in units of it. `alignment`: mean squared distance of unit views. `finite`: 1 where every number is.
        All others are NaN where it is 0, or where there are fewer than two images.
    """
    values = features.detach()[:_MOST].flatten(1).float()
    finite = bool(torch.isfinite(values).all())
    names = ("effective_rank", "rankme", "uniformity", "mean_cosine", "norm", "norm_spread")
    if not finite or len(values) < 2:
        return {"finite": float(finite), **dict.fromkeys(names, float("nan"))}
    centred = values - values.mean(dim=0)
    norms = values.norm(dim=1)
    unit = functional.normalize(values, dim=1)
    cosines = unit @ unit.T
    count = len(unit)
    pairs = cosines[~torch.eye(count, dtype=torch.bool, device=unit.device)]
    told = torch.stack(
        [
            _entropy_rank(torch.linalg.eigvalsh(_gram(centred)).clamp_min(0)),
            _entropy_rank(torch.linalg.eigvalsh(_gram(values)).clamp_min(0).sqrt()),
            torch.exp(4 * pairs - 4).mean().log(),  # -2 d^2 = 4 cos - 4
            pairs.mean(),
            norms.mean(),
            norms.std(correction=0) / norms.mean().clamp_min(1e-12),
        ]
    ).tolist()
    found = {"finite": 1.0, **dict(zip(names, told, strict=True))}
    if others is not None:
        other = functional.normalize(others.detach()[:_MOST].flatten(1).float(), dim=1)
        found["alignment"] = float((unit - other).square().sum(dim=1).mean())
    return found


def _gram(values: torch.Tensor) -> torch.Tensor:
    """The smaller of both products, which have the same spectrum."""
    return values @ values.T if len(values) <= values.shape[1] else values.T @ values


def _entropy_rank(spectrum: torch.Tensor) -> torch.Tensor:
    total = spectrum.sum()
    shares = spectrum / total.clamp_min(1e-12)
    rank = torch.exp(-(shares * shares.clamp_min(1e-30).log()).sum())
    return torch.where(total > 1e-12, rank, torch.zeros_like(rank))


def collapsed(seen: Mapping[str, float]) -> str:
    """Returns what shows a collapse in a look, a sentence; empty where nothing does.

    Random weights are no collapse, though their features have mean cosines of 0.99.

    Args:
        seen: As `look` gives it; figures that are missing show nothing.
    """
    if not seen.get("finite", 1.0):
        return "features are not finite"
    if seen.get("mean_cosine", 0.0) > ALIKE:
        return f"features are nearly all the same: mean cosine {seen['mean_cosine']:.5f}"
    if seen.get("rankme", LEAST_RANKME) < LEAST_RANKME:
        return f"features lie on a line or a point: RankMe {seen['rankme']:.1f}"
    return ""
