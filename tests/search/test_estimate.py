"""The time that all pairs will take, said beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sysu30k_bench.progress import Silent
from sysu30k_bench.search.engines.engine import Approximate
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.graph import estimate
from sysu30k_bench.search.graph.estimate import LATER_WORK, SAMPLE_ROWS, say_estimate
from sysu30k_bench.search.search import block_rows_for
from tests.conftest import unit_rows

CPU = torch.device("cpu")


class Listening(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def said(monkeypatch: pytest.MonkeyPatch, rows: np.ndarray, pairs: float, first: float) -> list[str]:
    """With a start of 6 s, and products of 2 s, for the sample's pairs."""
    monkeypatch.setattr(estimate, "_start", lambda *_: 6.0)
    monkeypatch.setattr(estimate, "_product", lambda *_: 2.0)
    listening = Listening()
    say_estimate(rows, TorchEngine(CPU), 5, 10**9, pairs, listening, first=first)
    return listening.said


def test_the_first_part_is_all_start_and_later_ones_are_mostly_products(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(np.random.default_rng(0), 100, 8)
    pairs, first = 100**2 * 600, 100**2 * 100
    minutes = round((6 * 100 + LATER_WORK * 2 * 500) / 60)
    assert said(monkeypatch, rows, pairs, first) == [f"neighbours: about {minutes} min remain, by a sample"]
    resumed = round(LATER_WORK * 2 * 600 / 60)
    assert said(monkeypatch, rows, pairs, 0) == [f"neighbours: about {resumed} min remain, by a sample"]
    assert said(monkeypatch, rows, 1, 0) == ["neighbours: less than a minute remains, by a sample"]


def test_only_rows_of_a_length_are_sampled_and_without_any_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.concatenate([unit_rows(np.random.default_rng(0), 40, 8), np.zeros((9, 8)), np.full((1, 8), np.nan)])
    rows = rows.astype(np.float32)
    assert said(monkeypatch, rows, 40**2 * 60, 0) == [
        f"neighbours: about {round(LATER_WORK * 2)} min remain, by a sample"
    ]
    assert said(monkeypatch, rows[40:], 1e9, 0) == []


def test_both_times_are_of_the_sample() -> None:
    rows = unit_rows(np.random.default_rng(0), SAMPLE_ROWS // 4, 8)
    listening = Listening()
    say_estimate(rows, TorchEngine(CPU), 5, 10**9, 1e4 * len(rows) ** 2, listening, first=0)
    few = listening.said[0]
    say_estimate(rows, TorchEngine(CPU), 5, 10**9, 1e4 * len(rows) ** 2, listening, first=1e4 * len(rows) ** 2)
    minutes = [int(one.split()[2]) for one in (few, listening.said[1])]
    assert 0 < minutes[0] < minutes[1]  # a start costs more than products alone


def test_no_more_rows_are_scored_at_once_than_the_memory_allows() -> None:
    scored: list[int] = []

    class Watched(TorchEngine):
        def scores(self, block: np.ndarray, norms: np.ndarray) -> Approximate:
            scored.append(len(block))
            return super().scores(block, norms)

    rows = unit_rows(np.random.default_rng(0), SAMPLE_ROWS, 8)
    say_estimate(rows, Watched(CPU), 5, 20 * 10**6, 1e9, Listening())
    assert max(scored) <= block_rows_for(20 * 10**6, SAMPLE_ROWS, 8) < SAMPLE_ROWS
