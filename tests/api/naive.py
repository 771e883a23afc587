"""An evaluator as one would write it without thinking of time: every order of tied images, one after another."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

Grid = dict[str, np.ndarray]


def grid(rng: np.random.Generator) -> Grid:
    """Draws a small evaluation with ties, distractors, junk and queries without a match; integers make ties exact."""
    queries, rows = int(rng.integers(1, 5)), int(rng.integers(3, 8))
    drawn = {
        "query": rng.integers(0, 2, (queries, 3)).astype(float),
        "gallery": rng.integers(0, 2, (rows, 3)).astype(float),
        "query_ids": rng.integers(0, 3, queries),
        "query_cams": rng.integers(0, 2, queries),
        "gallery_ids": rng.integers(-3, 3, rows),
        "gallery_cams": rng.integers(0, 2, rows),
    }
    for name in ("query", "gallery"):
        drawn[name][~drawn[name].any(axis=1)] = 1.0
    drawn["gallery_ids"][0], drawn["gallery_cams"][0] = drawn["query_ids"][0], 1 - drawn["query_cams"][0]
    return drawn


def naive_metrics(given: Grid) -> dict[str, float]:
    """Means over queries of each metric's mean over all orders of tied images."""
    unit = {name: given[name] / np.linalg.norm(given[name], axis=1, keepdims=True) for name in ("query", "gallery")}
    values = [
        _of_one(unit["query"][number] @ unit["gallery"].T, given, number) for number in range(len(given["query"]))
    ]
    return {name: float(np.mean([value[name] for value in values])) for name in values[0]}


def _of_one(scores: np.ndarray, given: Grid, number: int) -> dict[str, float]:
    person, camera = given["query_ids"][number], given["query_cams"][number]
    same = given["gallery_ids"] == person
    junk = (same & (given["gallery_cams"] == camera)) | (given["gallery_ids"] == -1)
    ranked = np.flatnonzero(~junk)
    levels = sorted({round(float(score), 9) for score in scores[ranked]}, reverse=True)
    tied = [[place for place in ranked if round(float(scores[place]), 9) == level] for level in levels]
    orders = [sum(parts, ()) for parts in product(*(list(permutations(group)) for group in tied))]
    found = [_of_order([bool(same[place]) for place in order]) for order in orders]
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def _of_order(hits: list[bool]) -> dict[str, float]:
    places = [place for place, hit in enumerate(hits, 1) if hit]
    out = {f"rank{k}": float(any(hits[:k])) for k in (1, 5, 10, 20)}
    if not places:
        return out | {"ap_standard": 0.0, "ap_trapezoid": 0.0, "minp": 0.0}
    standard = [found / place for found, place in enumerate(places, 1)]
    before = [1.0 if place == 1 else (found - 1) / (place - 1) for found, place in enumerate(places, 1)]
    return out | {
        "ap_standard": float(np.mean(standard)),
        "ap_trapezoid": float(np.mean([(old + new) / 2 for old, new in zip(before, standard, strict=True)])),
        "minp": len(places) / places[-1],
    }
