"""Curves and their bands against hand-computed values and the scalar functions; axes that can be read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.metrics.intervals import bootstrap_mean, wilson
from sysu30k_bench.metrics.open_set.rates import fnir, threshold_at
from sysu30k_bench.metrics.scaling import scaling_curve
from sysu30k_bench.report.axes import plain_number
from sysu30k_bench.report.bands import cmc_band, det_band, scaling_band
from sysu30k_bench.report.figures import cmc, det, margins, scaling
from sysu30k_bench.results.ranked_run import RankedRun, read_run
from sysu30k_bench.search.ranking import read_ranking
from tests.results.test_compare import write_ranking


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RankedRun]:
    folder = tmp_path_factory.mktemp("figures")
    return [read_run(write_ranking(folder / name, ranks)) for name, ranks in (("a", [1, 1, 2, 9]), ("b", [1, 3, 4, 9]))]


def test_the_band_of_the_cmc_is_wilsons() -> None:
    first = np.array([1, 1, 2, 5, 40, np.nan])
    band = cmc_band(first, np.array([1, 2, 4, 5, 100]))
    for value, low, high, hits in zip(band.value, band.low, band.high, (2, 3, 3, 4, 5), strict=True):
        assert (value, low, high) == pytest.approx(tuple(wilson(hits, 6)))


def test_the_band_of_gallery_sizes_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(3)
    first = rng.choice([1, 2, 7, 60, 0], 300).astype(float)
    ranked, sizes = np.full(300, 100), np.array([1, 5, 50, 100])
    band = scaling_band(first, ranked, sizes)
    assert band.value == pytest.approx(scaling_curve(first, ranked, sizes))
    naive = bootstrap_mean((first == 1).astype(float))
    assert (band.low[-1], band.high[-1]) == pytest.approx((naive.low, naive.high), abs=0.015)
    with_match = scaling_band(np.maximum(first, 1), ranked, sizes)
    assert (with_match.low[0], with_match.high[0]) == pytest.approx((1, 1)), (
        "alone in its gallery, every match is first"
    )


def test_the_det_curve_is_the_rate_at_each_threshold() -> None:
    rng = np.random.default_rng(4)
    mated, other = rng.normal(1, 1, 400).round(2), rng.normal(0, 1, 400).round(2)
    band = det_band(mated, other, np.array([0.05, 0.1, 0.5]))
    expected = [fnir(mated, threshold_at(other, rate)) for rate in (0.05, 0.1, 0.5)]
    assert band.value == pytest.approx(expected)
    assert (band.low <= band.value).all()
    assert (band.value <= band.high).all()
    assert (band.high - band.low > 0.02).all()
    mated[:50] = np.nan
    assert not np.isnan(det_band(mated, other, np.array([0.1])).high).any()


def test_axes_have_plain_numbers_and_both_runs_have_names(runs: list[RankedRun]) -> None:
    assert [plain_number(value) for value in (0.1, 1.0, 10.0, 1000.0)] == ["0.1", "1", "10", "1,000"]
    for made, ticks in ((cmc(runs), {"1", "10"}), (scaling(runs), {"1", "10"}), (det(runs), {"100"})):
        texts = [text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", made)]
        assert ticks <= set(texts)
        assert {"a", "b"} <= set(texts)
        assert "mathdefault" not in made
        assert "#010203" not in made
    assert cmc(runs[:1]) == cmc(runs[:1]), "equal runs give equal bytes"


def test_a_run_without_matches_has_figures_all_the_same(tmp_path: Path) -> None:
    folder = write_ranking(tmp_path / "none", [1, 2])
    table = read_ranking(folder / "ranking.csv").table
    assert "<svg" in margins([table.assign(match="")], ["none"])
    assert "<svg" in margins([table, table], ["a", "$b"])
