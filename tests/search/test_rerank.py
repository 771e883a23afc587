"""k-reciprocal re-ranking against the published algorithm, written out over whole matrices."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sysu30k_bench.data.protocol import relevance
from sysu30k_bench.embeddings.store import Store
from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.progress import Silent
from sysu30k_bench.search.engines.faiss_engine import FaissEngine
from sysu30k_bench.search.engines.torch_engine import TorchEngine
from sysu30k_bench.search.exact import break_even
from sysu30k_bench.search.gallery import ArrayGallery, StoreGallery
from sysu30k_bench.search.graph import together
from sysu30k_bench.search.graph.both_sides import BothSides
from sysu30k_bench.search.graph.reciprocal import RerankSettings
from sysu30k_bench.search.graph.rerank import rerank
from sysu30k_bench.search.graph.together import Known, QueryAndGallery, compare_all
from sysu30k_bench.search.score import TIE
from sysu30k_bench.search.search import SearchResult
from tests.conftest import unit_rows
from tests.embeddings.stores import write_store
from tests.search.oracle import all_scores


def published(features: np.ndarray, queries: int, settings: RerankSettings) -> np.ndarray:
    """The final distances (Q, G), by the steps of the paper's code, dense."""
    count = len(features)
    distance = np.round(2 - 2 * features.astype(np.float64) @ features.astype(np.float64).T, 12)
    farthest = distance.max(axis=0)
    relative = (distance / np.where(farthest > 0, farthest, 1)).T
    np.fill_diagonal(distance, -1)  # each row is its own nearest
    order = np.argsort(distance, axis=1, kind="stable")
    encoded = np.zeros((count, count))

    def reciprocal(row: int, k: int) -> set[int]:
        return {int(other) for other in order[row, : k + 1] if row in order[other, : k + 1]}

    for row in range(count):
        near = reciprocal(row, settings.k1)
        whole = set(near)
        for other in near:
            own = reciprocal(other, round(settings.k1 / 2))
            if len(own & near) > 2 / 3 * len(own):
                whole |= own
        chosen = sorted(whole)
        weights = np.exp(-relative[row, chosen])
        encoded[row, chosen] = weights / weights.sum()
    if settings.k2 > 1:
        encoded = np.stack([encoded[order[row, : settings.k2]].mean(axis=0) for row in range(count)])
    shared = np.array([np.minimum(encoded[q], encoded[queries:]).sum(axis=1) for q in range(queries)])
    jaccard = 1 - shared / (2 - shared)
    final: np.ndarray = (1 - settings.weight) * jaccard + settings.weight * relative[:queries, queries:]
    return final


def draw(seed: int, queries: int = 12, gallery: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    people = 1 + np.concatenate([np.arange(queries), rng.integers(0, queries + 5, gallery)])
    centres = rng.standard_normal((queries + 6, 24))
    features = centres[people] + 0.7 * rng.standard_normal((len(people), 24))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cameras = np.concatenate([np.zeros(queries, np.int64), rng.integers(0, 3, gallery)])
    return features.astype(np.float32), people, cameras


def ours(
    features: np.ndarray,
    people: np.ndarray,
    cameras: np.ndarray,
    queries: int,
    settings: RerankSettings,
    **options: Any,
) -> SearchResult:
    relevant = relevance(people[:queries], cameras[:queries], people[queries:], cameras[queries:])
    engine = TorchEngine(torch.device("cpu"))
    return rerank(
        features[:queries], ArrayGallery(features[queries:]), relevant, engine, settings,
        **{"top_k": 30, "memory": 10**8, "progress": Silent(), **options},
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("settings", [RerankSettings(), RerankSettings(7, 3, 0.5), RerankSettings(9, 1, 0.0)])
def test_ranks_and_lists_are_the_published_algorithms(seed: int, settings: RerankSettings) -> None:
    features, people, cameras = draw(seed)
    result = ours(features, people, cameras, 12, settings)
    final = published(features, 12, settings)
    junk = (people[:12, None] == people[None, 12:]) & (cameras[:12, None] == cameras[None, 12:])
    final[junk] = np.inf
    for number, (query, position) in enumerate(zip(result.match_query, result.match_position, strict=True)):
        mine = final[query, position]
        assert result.match_score[number] == pytest.approx(1 - mine, abs=1e-6)
        assert result.above[number] == (final[query] < mine - 1e-9).sum()
        assert result.tied[number] == (np.abs(final[query] - mine) <= 1e-9).sum() - 1
    for query in range(12):
        best = np.argsort(final[query], kind="stable")[:30]
        np.testing.assert_allclose(final[query][result.top_position[query]], final[query][best], atol=1e-7)


@pytest.mark.parametrize("memory", [10**5, 10**9])
def test_memory_changes_no_rank(memory: int) -> None:
    features, people, cameras = draw(3, 20, 400)
    first = ours(features, people, cameras, 20, RerankSettings())
    other = ours(features, people, cameras, 20, RerankSettings(), memory=memory)
    assert np.array_equal(first.above, other.above)
    assert np.array_equal(first.top_position, other.top_position)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_store_is_streamed_a_few_times_and_never_read_for_single_rows(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """600 rows took 3,890 reads of shards: one or more for every row."""
    features, people, cameras = draw(4, 20, 600)
    features = features.astype(dtype).astype(np.float32)
    rows, keys = features[20:].astype(dtype), [str(number) for number in range(600)]
    store = Store.open(write_store(tmp_path / "s", rows, keys, people[20:], cameras[20:], shard_rows=40))
    reads = []
    real = Store._read
    monkeypatch.setattr(Store, "_read", lambda self, *entry: reads.append(entry) or real(self, *entry))
    relevant = relevance(people[:20], cameras[:20], people[20:], cameras[20:])
    engine = TorchEngine(torch.device("cpu"))
    found = rerank(
        features[:20], StoreGallery(store, keys), relevant, engine, RerankSettings(),
        top_k=30, memory=10**6, progress=Silent(),
    )  # fmt: skip
    assert len(reads) <= 8 * len(store.manifest.shards)
    held = ours(features, people, cameras, 20, RerankSettings())
    for name in ("match_score", "above", "tied", "top_position", "top_score"):
        assert np.array_equal(getattr(found, name), getattr(held, name)), name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("filtered", ["float32", "bf16", "int8", "faiss"])
def test_neighbours_and_lowest_scores_are_those_of_the_naive_rule(
    monkeypatch: pytest.MonkeyPatch, filtered: str, seed: int
) -> None:
    monkeypatch.setattr(break_even, "FINEST_ROWS", 0)  # the coarse filter decides from the first block on
    rng = np.random.default_rng([seed, 9])
    count, width, part = (int(rng.integers(*ends)) for ends in ((40, 300), (2, 12), (3, 90)))
    rows = unit_rows(rng, count, 17)
    if seed % 2:
        rows = np.maximum(rows, 0) * (rng.random(rows.shape) < 0.2)  # many scores of exactly 0, the lowest
        rows += 1e-3 * (np.arange(17) == 0)
    rows[rng.integers(0, count, count // 3)] = rows[rng.integers(0, count, count // 3)]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    asked = FaissEngine() if filtered == "faiss" else TorchEngine(torch.device("cpu"), filtered)  # type: ignore[arg-type]
    monkeypatch.setattr(together, "part_rows_for", lambda _: part)
    for fast in (False, True):
        monkeypatch.setattr(together, "FAST_FROM", 0 if fast else np.inf)
        known = compare_all(QueryAndGallery(rows[:7], ArrayGallery(rows[7:])), asked, width, 10**6, Silent())
        exact = all_scores(rows, rows)
        assert np.abs(known.lowest - exact.min(axis=1)).max() <= TIE
        assert np.array_equal(known.scores, np.take_along_axis(exact, known.nearest, axis=1))
        cell = np.rint(exact / TIE)
        np.fill_diagonal(cell, np.inf)
        assert np.array_equal(known.nearest, np.argsort(-cell, axis=1, kind="stable")[:, :width])


def test_an_interrupted_comparison_resumes_and_ends_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows, _, _ = draw(6, 20, 180)
    monkeypatch.setattr(together, "part_rows_for", lambda _: 40)
    monkeypatch.setattr(together, "KEEP_SECONDS", 0)
    passes = []
    real = BothSides.search

    def search(sides: BothSides, part: np.ndarray, first: int, advance: Callable[[int], None]) -> None:
        passes.append(first)
        if passes == [0, 40, 80]:
            raise KeyboardInterrupt
        real(sides, part, first, advance)

    def compare(keep: Path | None) -> Known:
        both = QueryAndGallery(rows[:20], ArrayGallery(rows[20:]))
        return compare_all(both, TorchEngine(torch.device("cpu")), 6, 10**8, Silent(), keep)

    monkeypatch.setattr(BothSides, "search", search)
    keep = tmp_path / "neighbours-x.npz"
    with pytest.raises(KeyboardInterrupt):
        compare(keep)
    found = compare(keep)
    assert passes == [0, 40, 80, 80, 120, 160]
    again, whole = compare(keep), compare(None)
    assert passes[6:] == [0, 40, 80, 120, 160]  # a finished comparison is not repeated
    for name in ("nearest", "scores", "lowest"):
        assert np.array_equal(getattr(found, name), getattr(whole, name)), name
        assert np.array_equal(getattr(again, name), getattr(whole, name)), name


def test_an_estimate_is_given_before_the_work_and_every_step_tells_how_far_it_is() -> None:
    said: list[str] = []
    steps: dict[str, tuple[int, int]] = {}

    class Listening(Silent):
        def say(self, message: str) -> None:
            said.append(message)

        def begin(self, title: str, total: int, unit: str) -> None:  # noqa: ARG002
            steps[title] = (total, 0)

        def advance(self, count: int) -> None:
            title = next(reversed(steps))
            steps[title] = (steps[title][0], steps[title][1] + count)

    features, people, cameras = draw(2)
    ours(features, people, cameras, 12, RerankSettings(), progress=Listening())
    assert said == ["neighbours: less than a minute remains, by a sample"]
    assert list(steps) == ["neighbours", "neighbourhoods", "distances", "similarities", "ranking"]
    assert all(total == done > 0 for total, done in steps.values())


def test_a_row_that_cannot_be_compared_is_named_by_the_work_and_not_by_its_sample() -> None:
    features, people, cameras = draw(2)
    features[15] = np.nan
    with pytest.raises(IntegrityError, match="row 3"):
        ours(features, people, cameras, 12, RerankSettings())


def test_re_ranking_helps_where_neighbours_agree() -> None:
    features, people, cameras = draw(1, 40, 600)
    relevant = relevance(people[:40], cameras[:40], people[40:], cameras[40:])
    scores = features[:40] @ features[40:].T
    matches = zip(relevant.match_query, relevant.match_position, strict=True)
    plain = [(scores[query] > scores[query, position]).sum() for query, position in matches]
    assert ours(features, people, cameras, 40, RerankSettings()).above.mean() < np.mean(plain)


def test_too_few_images_for_the_neighbours() -> None:
    features, people, cameras = draw(0, 3, 9)
    with pytest.raises(UsageError, match="12 images are too few for k1 20 and k2 6: 21 are needed"):
        ours(features, people, cameras, 3, RerankSettings())


def test_rows_that_are_all_the_same_have_no_relative_distance(recwarn: pytest.WarningsRecorder) -> None:
    features, people, cameras = draw(0, 12, 60)
    features[:] = features[0]
    result = ours(features, people, cameras, 12, RerankSettings())
    final = published(features, 12, RerankSettings())
    mine = final[result.match_query, result.match_position]
    assert np.abs(result.match_score - (1 - mine)).max() < 1e-8  # rows are of unit length to 1e-8
    assert not recwarn.list


def test_against_torchreid() -> None:
    """Its file is read by itself: the package wants a graphics library."""
    package = importlib.util.find_spec("pyppbox_torchreid")
    if package is None or not package.submodule_search_locations:
        pytest.skip("pip install --no-deps pyppbox-torchreid==1.4.1.0")
    path = Path(package.submodule_search_locations[0]) / "utils" / "rerank.py"
    spec = importlib.util.spec_from_file_location("torchreid_rerank", path)
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    features = draw(5)[0]
    query, gallery = features[:12], features[12:]
    pairs = ((query, gallery), (query, query), (gallery, gallery))
    distances = [np.sqrt(np.maximum(2 - 2 * left @ right.T, 0)) for left, right in pairs]
    whole = reference.re_ranking(*distances)  # it squares them again
    np.testing.assert_allclose(whole, published(features, 12, RerankSettings()), atol=2e-6)


def test_as_a_command(bench: Callable[..., Any], own_twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert bench("eval", stripes_checkpoint, "--data", own_twin, "--output", run).code == 0
    before = (run / "ranking.csv").read_bytes()
    refused = bench("search", run, "--rerank", "--k1", 900)
    assert refused.code == 2
    for words in (("--k1", 4), ("--lambda", 0.5, "--self")):
        forgotten = bench("search", run, *words)
        assert forgotten.code == 2
        assert f"{words[0]} is of a re-ranking: also give --rerank" in forgotten.err
    done = bench("search", run, "--rerank", "--k1", 4, "--k2", 2, "--json")
    assert done.code == 0, done.err
    assert done.json["ranking"] == str(run / "reranked" / "ranking.csv")
    assert (run / "ranking.csv").read_bytes() == before
    scored = bench("score", run / "reranked" / "ranking.csv")
    assert scored.code == 0
    assert "rank-1" in scored.out
    assert scored.out.startswith("re-ranked by k-reciprocal neighbours (k1 4, k2 2, lambda 0.3): not the protocol's")
    assert bench("score", run / "reranked", "--json").json["reranked"] == {"k1": 4, "k2": 2, "weight": 0.3}
    assert "re-ranked" not in bench("score", run / "ranking.csv").out
    assert not list((run / "reranked").glob("neighbours-*"))


def test_what_cannot_be_re_ranked_is_refused(
    bench: Callable[..., Any], own_twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    assert bench("eval", stripes_checkpoint, "--data", own_twin, "--output", run).code == 0
    assert bench("eval", stripes_checkpoint, "--data", own_twin, "--flip", "none", "--output", other).code == 0
    words = ("--rerank", "--k1", 4, "--k2", 2)
    for wrong, said in {("--lambda", "nan"): "finite", ("--self",): "two kinds"}.items():
        refused = bench("search", run, *words, *wrong)
        assert refused.code == 2
        assert said in refused.err
    shared = bench("search", run, *words, env={"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"})
    assert shared.code != 0
    shutil.rmtree(run / "embeddings" / "gallery")
    shutil.copytree(other / "embeddings" / "gallery", run / "embeddings" / "gallery")
    mixed = bench("search", run, *words)
    assert mixed.code == 2
    assert "not embedded by the same model" in mixed.err
    assert not (run / "reranked").exists()
