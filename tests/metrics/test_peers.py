"""Peers' figures by hand, and on random grids against the peers themselves where they are installed."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.metrics import peers
from sysu30k_bench.metrics.peers import peer_figures
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.gallery import ArrayGallery
from sysu30k_bench.search.ranking import Ranking, make_ranking
from sysu30k_bench.search.search import search
from tests.conftest import unit_rows

K = (3, 5)


def grid(seed: int) -> dict[str, np.ndarray]:
    """Features and labels; some queries have no match, and some gallery images are junk."""
    rng = np.random.default_rng(seed)
    return {
        "query": unit_rows(rng, 24, 6),
        "gallery": unit_rows(rng, 60, 6),
        "query_person": rng.integers(1, 12, 24),
        "gallery_person": rng.integers(1, 10, 60),
        "query_camera": rng.integers(1, 4, 24),
        "gallery_camera": rng.integers(1, 4, 60),
    }


def ranked(data: dict[str, np.ndarray], *, cameras: bool = True) -> Ranking:
    import torch

    query_camera = data["query_camera"] if cameras else np.zeros(24, int)
    rel = relevance(data["query_person"], query_camera, data["gallery_person"], data["gallery_camera"])
    result = search(data["query"], ArrayGallery(data["gallery"]), rel, TorchEngine(torch.device("cpu")), top_k=60)
    return make_ranking(result, rel, [f"q{n}" for n in range(24)], [f"g{n}" for n in range(60)])


def ours(ranking: Ranking, identity: dict[str, int] | None = None) -> pd.DataFrame:
    return peer_figures(ranking.query_keys, ranking.matched, (1, 5, 10), K, identity)


def distances(data: dict[str, np.ndarray]) -> np.ndarray:
    found: np.ndarray = 1 - data["query"].astype(np.float64) @ data["gallery"].astype(np.float64).T
    return found


def test_by_hand() -> None:
    """Three matches at ranks 1, 3 and 6."""
    ranks = np.array([1, 3, 6])
    assert peers.hit(ranks, 1) == 1
    assert peers.average_precision(ranks) == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    assert peers.average_precision_trapezoid(ranks) == pytest.approx(
        (1 + (2 / 3 + 1 / 2) / 2 + (3 / 6 + 2 / 5) / 2) / 3
    )
    assert peers.inverse_penalty(ranks) == 0.5
    assert peers.reciprocal_rank(np.array([4, 9])) == 0.25
    assert peers.r_precision(ranks) == pytest.approx(2 / 3)
    assert peers.map_at_r(ranks) == pytest.approx((1 + 2 / 3) / 3)
    assert peers.map_at_k_of_found(ranks, 5) == pytest.approx((1 + 2 / 3) / 2)
    assert peers.map_at_k_of_possible(ranks, 5) == pytest.approx((1 + 2 / 3) / 3)
    assert peers.map_at_k_of_found(np.array([7]), 5) == peers.map_at_k_of_possible(np.array([7]), 5) == 0
    assert peers.precision_at_k(ranks, 5) == pytest.approx(2 / 5)
    assert peers.precision_at_k_of_possible(ranks, 5) == pytest.approx(2 / 3)


def test_ties_go_against_the_match_one_place_each() -> None:
    matched = pd.DataFrame({"query": ["a", "a", "b"], "rank_low": [2, 2, 1], "rank_high": [5, 5, 1]})
    assert peers.worst_ranks(matched).tolist() == [5, 4, 1]


def test_three_averages() -> None:
    """Queries a and b show person 1, c person 2, d has no match; first ranks 1, 2, 1."""
    matched = pd.DataFrame({"query": ["a", "b", "c"], "rank_low": [1, 2, 1], "rank_high": [1, 2, 1]})
    table = peer_figures(["a", "b", "c", "d"], matched, (1,), (5,), {"a": 1, "b": 1, "c": 2, "d": 3})
    assert table.loc["rank-1"].tolist() == pytest.approx([2 / 3, 2 / 4, (0.5 + 1) / 2])
    assert table.loc["MRR"].tolist() == pytest.approx([2.5 / 3, 2.5 / 4, (0.75 + 1) / 2])
    assert peer_figures(["a", "b", "c", "d"], matched, (1,))["identity"].isna().all()


def test_every_figure_of_one_query_under_its_name() -> None:
    """Matches at ranks 1, 3 and 6, the last of which ties with the image before it."""
    matched = pd.DataFrame({"query": ["a"] * 3, "rank_low": [5, 1, 3], "rank_high": [6, 1, 3]})
    table = peer_figures(["a"], matched, (1, 2), (3, 5), {"a": 1})
    assert table["valid"].to_dict() == pytest.approx({
        "rank-1": 1,
        "rank-2": 1,
        "mAP (standard)": (1 + 2 / 3 + 3 / 6) / 3,
        "mAP (trapezoid)": (1 + (2 / 3 + 1 / 2) / 2 + (3 / 6 + 2 / 5) / 2) / 3,
        "mINP": 1 / 2,
        "MRR": 1,
        "R-precision": 2 / 3,
        "mAP@R": (1 + 2 / 3) / 3,
        "mAP@3 (over those found)": (1 + 2 / 3) / 2,
        "mAP@3 (over min(k, R))": (1 + 2 / 3) / 3,
        "precision@3": 2 / 3,
        "precision@3 (over min(k, R))": 2 / 3,
        "mAP@5 (over those found)": (1 + 2 / 3) / 2,
        "mAP@5 (over min(k, R))": (1 + 2 / 3) / 3,
        "precision@5": 2 / 5,
        "precision@5 (over min(k, R))": 2 / 3,
    })  # fmt: skip
    assert table["all"].equals(table["valid"])
    assert table["identity"].equals(table["valid"])


def test_the_trapezoid_at_rank_2_by_hand() -> None:
    assert peers.average_precision_trapezoid(np.array([2])) == 0.25
    assert peers.average_precision_trapezoid(np.array([1, 2])) == 1


def test_a_run_without_any_match_is_zero_everywhere() -> None:
    nothing = pd.DataFrame({"query": [], "rank_low": [], "rank_high": []}).astype({"rank_low": int, "rank_high": int})
    assert set(peer_figures(["a"], nothing, (1,))["all"]) == {0.0}


def torchreid_rank() -> ModuleType:
    """Torchreid's evaluation alone: the package's own import needs OpenCV."""
    package = importlib.util.find_spec("torchreid") or importlib.util.find_spec("pyppbox_torchreid")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs torchreid")
    place = Path(package.submodule_search_locations[0])
    file = next((one for one in (place / "metrics/rank.py", place / "reid/metrics/rank.py") if one.is_file()), None)
    spec = importlib.util.spec_from_file_location("torchreid_rank", file) if file else None
    if spec is None or spec.loader is None:
        pytest.skip("needs torchreid")
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(5))
def test_torchreid(seed: int) -> None:
    metrics = torchreid_rank()
    data = grid(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        cmc, mean = metrics.eval_market1501(
            distances(data), data["query_person"], data["gallery_person"], data["query_camera"],
            data["gallery_camera"], 50,
        )  # fmt: skip
    table = ours(ranked(data))["valid"]
    assert [table[f"rank-{k}"] for k in (1, 5, 10)] == pytest.approx([cmc[k - 1] for k in (1, 5, 10)], abs=1e-6)
    assert table["mAP (standard)"] == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_torchmetrics(seed: int) -> None:
    functional = pytest.importorskip("torchmetrics.functional.retrieval")
    import torch

    data = grid(seed)
    similarity, rows = 2 - distances(data), []
    for query in range(24):
        kept = (data["gallery_person"] != data["query_person"][query]) | (
            data["gallery_camera"] != data["query_camera"][query]
        )
        scores = torch.from_numpy(similarity[query][kept])
        target = torch.from_numpy(data["gallery_person"][kept] == data["query_person"][query])
        found = {
            "mAP (standard)": functional.retrieval_average_precision(scores, target),
            "MRR": functional.retrieval_reciprocal_rank(scores, target),
            "R-precision": functional.retrieval_r_precision(scores, target),
        }
        for k in K:
            found[f"mAP@{k} (over those found)"] = functional.retrieval_average_precision(scores, target, top_k=k)
            found[f"precision@{k}"] = functional.retrieval_precision(scores, target, top_k=k)
            found["rank-5"] = functional.retrieval_hit_rate(scores, target, top_k=5)
        rows.append({name: float(value) for name, value in found.items()})
    for name, value in pd.DataFrame(rows).mean().items():
        assert ours(ranked(data))["all"][str(name)] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("seed", range(5))
def test_pytorch_metric_learning(seed: int) -> None:
    """It knows no junk: every image of the query's person is a match."""
    module = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    inference = pytest.importorskip("pytorch_metric_learning.utils.inference")
    import torch
    from pytorch_metric_learning.distances import CosineSimilarity

    data = grid(seed)
    ranking = ranked(data, cameras=False)
    persons = {f"q{n}": int(person) for n, person in enumerate(data["query_person"])}
    for averaged, column in ((False, "valid"), (True, "identity")):
        calculator = module.AccuracyCalculator(
            include=("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_average_precision",
                     "mean_reciprocal_rank"),
            k=60, avg_of_avgs=averaged, device=torch.device("cpu"),
            knn_func=inference.CustomKNN(CosineSimilarity()),
        )  # fmt: skip
        found = calculator.get_accuracy(
            *(torch.from_numpy(data[name]) for name in ("query", "query_person", "gallery", "gallery_person"))
        )
        table = ours(ranking, persons)[column]
        for theirs, name in (
            ("precision_at_1", "rank-1"),
            ("r_precision", "R-precision"),
            ("mean_average_precision_at_r", "mAP@R"),
            ("mean_average_precision", "mAP (standard)"),
            ("mean_reciprocal_rank", "MRR"),
        ):
            assert table[name] == pytest.approx(found[theirs], abs=1e-6), (name, averaged)


@pytest.mark.parametrize("seed", range(5))
def test_open_metric_learning(seed: int) -> None:
    """Queries without a match are left out: it counts them as found."""
    functional = pytest.importorskip("oml.functional.metrics")
    import torch

    data = grid(seed)
    tops, counts = [], []
    for query, line in enumerate(distances(data)):
        kept = (data["gallery_person"] != data["query_person"][query]) | (
            data["gallery_camera"] != data["query_camera"][query]
        )
        order = np.argsort(line[kept], kind="stable")
        correct = (data["gallery_person"][kept] == data["query_person"][query])[order]
        if correct.any():
            tops.append(torch.from_numpy(correct))
            counts.append(int(correct.sum()))
    table = ours(ranked(data))["valid"]
    for named, computed in (
        ("rank-{}", functional.calc_cmc),
        ("mAP@{} (over those found)", functional.calc_map),
        ("precision@{} (over min(k, R))", functional.calc_precision),
    ):
        for k in (5,) if named == "rank-{}" else K:
            value = float(computed(tops, counts, (k,))[0].mean())
            assert table[named.format(k)] == pytest.approx(value, abs=1e-6), named
