"""The suite's statistics against a formula, a simulation, and real bugs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from sysu30k_bench.errors import DataError, IntegrityError, UsageError
from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.training.suite.people import test_people as drawn_people
from sysu30k_bench.training.suite.reference import References, read_references
from sysu30k_bench.training.suite.signature import measure
from sysu30k_bench.training.suite.verdict import judge

pytest.importorskip("lightly")


def test_one_figure_by_hand() -> None:
    """Reference runs (1, 3), (2, 2), (4, 6): within-seed squares 2 + 0 + 2 over 3 freedoms, so a variance of 4 / 3.

    A candidate of 5 on the first seed and 5 on the third: differences 3 and 0, mean 1.5, and a variance of
    (4 / 3) (1 + 1 / 2) 2 / 4 = 1.
    """
    reference = {0: [{"a.x": 1.0}, {"a.x": 3.0}], 1: [{"a.x": 2.0}, {"a.x": 2.0}], 2: [{"a.x": 4.0}, {"a.x": 6.0}]}
    verdict = judge({0: {"a.x": 5.0}, 2: {"a.x": 5.0}}, reference)
    assert verdict.passed
    assert verdict.p == pytest.approx(2 * stats.t.sf(1.5, 3))
    far = judge({0: {"a.x": 50.0}, 2: {"a.x": 50.0}}, reference)
    assert not far.passed
    assert far.deviations[0].difference == pytest.approx(46.5)
    assert far.deviations[0].spread == pytest.approx(1.0)
    assert "a.x differs by +46.5" in far.reason
    assert judge({0: {"a.x": math.nan}}, reference).broken == ["a.x"]
    assert judge({0: {"a.x": 50.0}}, reference, kinds=["b"]).passed


def test_equal_implementations_are_flagged_no_more_often_than_alpha() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(400):
        seeds = rng.normal(0, 3, (8, 20))  # what data and trunk do to every implementation
        runs = seeds[:, None] + rng.normal(5, 1, (8, 3, 20))
        named = [[{f"a.{place}": value for place, value in enumerate(run)} for run in several] for several in runs]
        reference = {seed: several[:2] for seed, several in enumerate(named)}
        alarms += not judge({seed: named[seed][2] for seed in (0, 1)}, reference, alpha=0.05).passed
    assert alarms <= 0.075 * 400


def test_retrieval_of_perfect_and_of_equal_embeddings() -> None:
    rows = torch.eye(5)
    perfect = measure(rows, rows)
    assert (perfect["retrieval.log_rank"], perfect["retrieval.ap"]) == (0, 1)
    same = measure(torch.ones(5, 3), torch.ones(5, 3))  # every tie against the match
    assert same["retrieval.log_rank"] == pytest.approx(math.log(5))
    assert same["embedding.rank"] == 0


def test_people_are_drawn_alike_everywhere() -> None:
    people = drawn_people()
    assert people.queries.shape == (120, 3, 32, 16)
    assert bool(torch.isfinite(people.gallery).all())
    assert not torch.equal(people.queries, people.gallery)


def test_references_that_cannot_be_used(tmp_path: Path) -> None:
    recorded = read_references()
    few = References({"simclr": {seed: runs for seed, runs in recorded.runs["simclr"].items() if seed < 2}})
    few.write(tmp_path / "few.json")
    with pytest.raises(IntegrityError, match="fewer than three seeds"):
        read_references(tmp_path / "few.json")
    text = (tmp_path / "few.json").read_text()
    (tmp_path / "other.json").write_text(text.replace('"recipes":{"simclr":"', '"recipes":{"simclr":"0'))
    with pytest.raises(IntegrityError, match="another recipe"):
        read_references(tmp_path / "other.json")
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(IntegrityError, match="no figures"):
        read_references(tmp_path / "bad.json")
    with pytest.raises(DataError, match="cannot read"):
        read_references(tmp_path / "none.json")


def test_checkpoints_of_another_program(tmp_path: Path) -> None:
    from sysu30k_bench.training.suite import check_checkpoints

    torch.manual_seed(0)
    network = TinyNet()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)  # every channel the same
    torch.save(network.state_dict(), tmp_path / "0.pth")
    verdict = check_checkpoints("byol", [tmp_path / "0.pth"])
    assert not verdict.passed
    with pytest.raises(UsageError, match="checkpoints for the"):
        check_checkpoints("byol", [])
