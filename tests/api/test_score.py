from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sysu30k_bench as sb
from tests.api.naive import grid, naive_metrics
from tests.conftest import Outcome

Bench = Callable[..., Outcome]


@pytest.fixture
def people() -> dict[str, Any]:
    """Six people, two cameras, one distractor; no two scores are equal."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((6, 16))
    return {
        "query": centres + 0.9 * rng.standard_normal((6, 16)),
        "gallery": np.concatenate([centres + 0.9 * rng.standard_normal((6, 16)), rng.standard_normal((1, 16))]),
        "query_ids": np.arange(6),
        "gallery_ids": np.array([0, 1, 2, 3, 4, 5, -1000]),
        "query_cams": np.ones(6, int),
        "gallery_cams": np.full(7, 2),
    }


def test_metrics_are_those_of_a_naive_evaluator_over_every_order_of_ties() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        given = grid(rng)
        expected, result = naive_metrics(given), sb.score(**given)
        for name, value in expected.items():
            assert result.metrics[name] == pytest.approx(value, abs=1e-9), (name, given)


@pytest.mark.parametrize("engine", ["faiss", "torch"])
def test_engines_give_the_same_ranking(people: dict[str, Any], engine: Any) -> None:
    whole, one = sb.score(**people), sb.score(**people, engine=engine)
    assert one.ranking.equals(whole.ranking)
    assert one.record is not None
    assert engine in one.record.environment.engine


def test_figures_are_the_commands(people: dict[str, Any], bench: Bench, tmp_path: Path) -> None:
    from scipy.io import savemat

    named = {"query_f": "query", "query_label": "query_ids", "query_cam": "query_cams"}
    named |= {file.replace("query", "gallery"): name.replace("query", "gallery") for file, name in named.items()}
    savemat(tmp_path / "features.mat", {file: people[name] for file, name in named.items()})
    outcome = bench("eval", tmp_path / "features.mat", "--output", tmp_path / "run", "--json")
    assert outcome.code == 0, outcome.err
    result = sb.score(**people)
    assert result.record is not None
    assert outcome.json["metrics"] == result.record.model_dump(mode="json")["metrics"]
    assert outcome.json["data"]["gallery_fingerprint"] == result.record.data.gallery_fingerprint
    result.save(tmp_path / "saved")
    assert (tmp_path / "saved/ranking.csv").read_bytes() == (tmp_path / "run/ranking.csv").read_bytes()
    assert (tmp_path / "saved/top.csv").read_bytes() == (tmp_path / "run/top.csv").read_bytes()


@pytest.mark.parametrize(
    "kind",
    [torch.float32, torch.float64, torch.float16, torch.bfloat16, np.float16, np.float64, np.longdouble, list],
    ids=str,
)
def test_every_floating_type_is_taken(people: dict[str, Any], kind: Any) -> None:
    def cast(array: np.ndarray) -> Any:
        if isinstance(kind, torch.dtype):
            return torch.from_numpy(array).to(kind).requires_grad_()
        return array.tolist() if kind is list else array.astype(kind)

    given = {**people, "query": cast(people["query"]), "gallery": cast(people["gallery"])}
    given["query_ids"] = torch.arange(6)
    given["gallery_ids"] = [0, 1, 2, 3, 4, 5, -1000]
    given["query_cams"] = people["query_cams"].astype(float)
    assert sb.score(**given).rank5.value == sb.score(**people).rank5.value


def test_rows_are_scaled_and_the_callers_arrays_stay(people: dict[str, Any]) -> None:
    before = people["query"].copy()
    longer = {**people, "query": people["query"] * 1000, "gallery": people["gallery"] * 0.001}
    assert sb.score(**longer).ranking.equals(sb.score(**people).ranking)
    assert np.array_equal(people["query"], before)


def test_junk_and_distractors_are_rules_of_the_caller() -> None:
    rows = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.3], [0.0, 1.0]])
    given = {
        "query": [[1.0, 0.0]],
        "gallery": rows,
        "query_ids": [7],
        "gallery_ids": [7, 0, 7, 9],
        "query_cams": [1],
        "gallery_cams": [1, 2, 2, 2],
    }
    assert sb.score(**given).ranking["rank_low"].tolist() == [2]  # the first row is junk, the second somebody else
    assert sb.score(**given, junk_ids=[0, -1]).ranking["rank_low"].tolist() == [1]
    assert sb.score(**given, same_camera="match").ranking["rank_low"].tolist() == [1, 3]
    nobody = {**given, "query_ids": [0], "gallery_ids": [0, 0, 7, 9]}
    assert sb.score(**nobody).rank1.value == 1
    with pytest.raises(sb.DataError, match="no query has a match"):
        sb.score(**nobody, distractor_ids=0)
    without = {name: value for name, value in given.items() if "cams" not in name}
    assert sb.score(**without).ranking["rank_low"].tolist() == [1, 3]


def test_queries_without_a_match_are_misses_and_are_told() -> None:
    result = sb.score(np.eye(2), np.eye(2), query_ids=[1, 2], gallery_ids=[1, 3])
    assert result.rank1.value == 0.5
    assert result.rank1.n == 2
    assert result.ranking["match"].tolist() == ["gallery/0", ""]
    assert result.record is not None
    assert any("no match" in reason for reason in result.record.not_official_because)


def test_names_of_images_come_back(people: dict[str, Any]) -> None:
    names = {"query_names": [f"q{n}.jpg" for n in range(6)], "gallery_names": [Path(f"g/{n}.jpg") for n in range(7)]}
    result = sb.score(**people, **names, top_k=2)
    assert set(result.ranking["query"]) == set(names["query_names"])
    assert result.top.groupby("query").size().tolist() == [2] * 6
    assert result.top["gallery"].str.startswith("g/").all()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"query": np.ones(16)}, r"query has shape \(16,\)"),
    ({"query": np.ones((6, 15))}, r"query has shape \(6, 15\) and gallery \(7, 16\)"),
    ({"query": np.ones((6, 16), int)}, "query has type int64"),
    ({"query": np.ones((6, 16), complex)}, "query has type complex128"),
    ({"query": np.empty((0, 16))}, r"query has shape \(0, 16\)"),
    ({"query": [["a"] * 16] * 6}, "query has type <U1"),
    ({"query": [[1.0], [1.0, 2.0]]}, "query is no array"),
    ({"gallery": torch.eye(7, 16).to_sparse()}, "gallery is a sparse tensor"),
    ({"query_ids": [1, 2]}, r"query_ids has shape \(2,\) and query has 6 rows"),
    ({"gallery_ids": np.arange(7) + 0.5}, "gallery_ids has type float64"),
    ({"gallery_ids": np.full(7, np.nan)}, "gallery_ids has type float64"),
    ({"gallery_ids": list("abcdefg")}, "gallery_ids holds text"),
    ({"gallery_ids": np.full(7, 2**63, np.uint64)}, "gallery_ids holds numbers that do not fit"),
    ({"gallery_ids": np.full(7, True)}, "gallery_ids has type bool"),
    ({"gallery_cams": None}, "gallery_cams is missing"),
    ({"query_cams": list("abcdef")}, r"(?s)query_cams holds text.*whole numbers"),
    ({"query_cams": np.ones((6, 1))}, r"query_cams has shape \(6, 1\)"),
    ({"query_names": ["a"] * 6}, "query_names holds 5 names more than once"),
    ({"query_names": ["a"]}, "query_names has 1 names"),
    ({"query_names": ["a\n", 3, "", "d", "e", "f"]}, "query_names holds 3 entries that are no name"),
    ({"top_k": 0}, "top_k is 0"),
    ({"top_k": 2.5}, "top_k is 2.5"),
    ({"engine": "quick"}, "engine is 'quick'"),
    ({"same_camera": "drop"}, "same_camera is 'drop'"),
    ({"distractor_ids": [0.5]}, "distractor_ids has type float64"),
    ({"device": "tpu"}, "tpu"),
    ({"device": None}, "device is None"),
    ({"query_names": 5}, "query_names is an int"),
    ({"distractor_ids": 1.5}, "distractor_ids is 1.5"),
    ({"junk_ids": None}, "junk_ids is None"),
    ({"same_camera": ["junk"]}, "same_camera is"),
    ({"name": 5}, "name is an int, not a text"),
]


@pytest.mark.parametrize(("change", "said"), BAD, ids=[said for _, said in BAD])
def test_wrong_arguments_are_named(people: dict[str, Any], change: dict[str, Any], said: str) -> None:
    with pytest.raises(sb.UsageError, match=said):
        sb.score(**{**people, **change})


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_rows_that_have_no_direction_are_named(people: dict[str, Any], value: float) -> None:
    people["gallery"][[2, 5]] = value
    with pytest.raises(sb.DataError, match="gallery: 2 rows are zero, NaN or infinite") as caught:
        sb.score(**people)
    assert caught.value.details == ["gallery[2]", "gallery[5]"]


def test_ids_that_have_nobody_in_common_are_shown(people: dict[str, Any]) -> None:
    people["gallery_ids"] = np.arange(7) + 100
    with pytest.raises(sb.DataError, match="no query has a match") as caught:
        sb.score(**people)
    assert caught.value.details[0] == "query_ids: 6 identities (0, 1, 2, 3, 4, ...)"


@pytest.mark.gpu
def test_tensors_on_a_gpu_give_the_same(people: dict[str, Any]) -> None:
    there = {**people, **{name: torch.from_numpy(people[name]).cuda() for name in ("query", "gallery", "query_ids")}}
    assert sb.score(**there).ranking.equals(sb.score(**people).ranking)
