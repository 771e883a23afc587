"""The suite as a command and a fixture: right implementations pass, planted bugs are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sysu30k_bench.training.ssl.recipe import METHODS
from sysu30k_bench.training.suite import check_method
from sysu30k_bench.training.suite.bugs import BUGS, planted
from sysu30k_bench.training.suite.power import WAYS, Trial, table
from sysu30k_bench.training.suite.reference import read_references

pytest.importorskip("lightly")


def test_every_method_has_a_reference_and_eight_bugs() -> None:
    recorded = read_references()
    assert set(recorded.runs) == set(METHODS)
    assert {method for able, _ in BUGS.values() for method in able} == set(METHODS)
    assert len(BUGS) >= 8
    for method in METHODS:
        assert sum(method in able for able, _ in BUGS.values()) >= 6


@pytest.mark.parametrize("bug", ["temperature doubled", "learning rate x 3", "leak between views"])
def test_planted_bugs_are_found(bug: str) -> None:
    verdict = check_method("simclr", planted(bug))
    assert not verdict.passed
    assert verdict.lockstep
    assert verdict.deviations or bug.startswith("leak")  # figures of two runs have too little power for that one


@pytest.mark.slow
def test_the_own_method_passes_as_a_command(bench: Any) -> None:
    """The fast tests run this for BYOL, as docs/ssl.md shows it."""
    fine = bench("ssl-suite", "--method", "simsiam", "--json")
    assert fine.code == 0, fine.out + fine.err
    assert fine.json["simsiam"]["passed"]


def test_a_broken_method_fails_as_a_command(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from sysu30k_bench.training.suite.bugs import planted\nBroken = planted('no stop-gradient')\n"
    )
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    broken = bench("ssl-suite", "--method", "simsiam", "--candidate", "mine:Broken", before=path)
    assert broken.code == 1
    assert broken.out.startswith("simsiam: deviates: ")
    for words, said in (
        (["--method", "mae"], "there is no method 'mae'"),
        (["--candidate", "nowhere:Thing"], "cannot import the candidate"),
        (["--power", "--candidate", "a:b"], "neither"),
    ):
        refused = bench("ssl-suite", *words)
        assert refused.code == 2
        assert said in refused.err


def test_the_fixture_fails_a_test(sysu30k_ssl_method: Any) -> None:
    class Idle:
        def __init__(self, backbone: nn.Module, recipe: Any) -> None:
            self.backbone = backbone
            del recipe

        def step(self, first: torch.Tensor, second: torch.Tensor) -> float:
            del first, second
            return 1.0

    with pytest.raises(pytest.fail.Exception, match="loss"):
        sysu30k_ssl_method("simclr", Idle)


def test_the_power_table_counts() -> None:
    locked, figures = {"all": True, "lockstep": True}, dict.fromkeys(WAYS, True) | {"lockstep": False}
    missed = dict.fromkeys(WAYS, False)
    shown = table(
        [
            Trial("byol", "frozen EMA", (0, 1), locked, "loss of step 2", 1.0),
            Trial("triplet", "frozen EMA", (0, 1), locked, "moved of step 4", 1.0),
            Trial("moco_v2", "frozen EMA", (0, 1), figures, "loss.first", 1.0),
            Trial("dino", "frozen EMA", (0, 1), missed, "", 1.0),
            Trial("byol", "channels last", (0, 1), missed, "", 1.0),
            Trial("dino", "channels last", (0, 1), locked, "loss of step 3", 1.0),
        ]
    )
    rows = shown.splitlines()
    assert rows[2] == "| frozen EMA | 4 | 3 (75.0%) | 2 (50.0%) | 2 to 4 | 1 of 2 | dino |"
    assert rows[-4] == "| **none (false alarms)** | 2 | 1 (50.0%) | 1 (50.0%) | 3 | 0 of 1 | dino, channels last |"
    assert rows[-2:] == [
        "bugs found: 3 of 4, 95 % interval 19.4% to 99.4% (Clopper and Pearson)",
        "false alarms: 1 of 2, 95 % interval 1.3% to 98.7% (Clopper and Pearson)",
    ]
