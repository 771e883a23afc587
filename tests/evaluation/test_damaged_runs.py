"""A run folder in which something was changed: the same answer, or made anew, or refused; never another answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sysu30k_bench.errors import BenchError, DataError, IntegrityError
from sysu30k_bench.evaluation import EvalRequest, evaluate
from sysu30k_bench.evaluation.ranking import rank_gallery, search_step
from sysu30k_bench.evaluation.ranking.rerank_step import rerank_step
from sysu30k_bench.evaluation.request import ExportRequest, SearchRequest
from sysu30k_bench.evaluation.run_folder import RunFolder
from sysu30k_bench.evaluation.score_step import score_step
from sysu30k_bench.evaluation.step_notes import EXPORT_NOTES, SEARCH_NOTES, ExportNotes, SearchNotes, read_notes
from sysu30k_bench.progress import Silent
from sysu30k_bench.results.ranked_run import RankedRun, read_run
from sysu30k_bench.results.record import EvaluationRecord, read_record
from sysu30k_bench.search.graph.reciprocal import RerankSettings
from sysu30k_bench.search.ranking import read_ranking
from sysu30k_bench.search.search import search
from sysu30k_bench.search.top_list import read_top
from tests.sealing import reseal, retell

TRIALS = 100


@pytest.fixture(scope="module")
def asked(twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportRequest:
    output = tmp_path_factory.mktemp("damaged") / "run"
    return ExportRequest(stripes_checkpoint, twin, output=output, shard_rows=25)


@pytest.fixture(scope="module")
def whole(asked: ExportRequest) -> RunFolder:
    _, folder = evaluate(EvalRequest(asked))
    return folder


@pytest.fixture
def run(whole: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(whole.path, tmp_path / "run")))


def harmed(content: bytes, rng: np.random.Generator) -> bytes:
    """One byte changed at random, or an end cut off."""
    place = int(rng.integers(len(content)))
    if rng.random() < 0.2:
        return content[:place]
    return content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]


def numbers(found: object) -> object:
    """What is believed of a run, apart from when it was written."""
    if isinstance(found, RankedRun):
        return found.per_query.to_csv(), found.ranked.to_csv(), sorted(found.pairs), numbers(found.record)
    if isinstance(found, EvaluationRecord):
        return found.model_dump(exclude={"created", "sha256"})
    if isinstance(found, ExportNotes | SearchNotes):
        return found.model_dump()
    return found.to_csv()  # type: ignore[attr-defined]


READERS: dict[str, Callable[[Path], object]] = {
    "export.json": lambda path: score_step(RunFolder(path)),
    "search.json": lambda path: score_step(RunFolder(path)),
    "ranking.csv": read_run,
    "result.json": read_run,
    "top.csv": read_top,
}


@pytest.mark.parametrize("name", READERS)
def test_any_damage_to_a_file_of_a_run_is_refused_or_changes_nothing(run: RunFolder, name: str) -> None:
    rng = np.random.default_rng(len(name))
    expected = numbers(READERS[name](run.path))
    path = run.path / name
    content, refused = path.read_bytes(), 0
    for _ in range(TRIALS):
        path.write_bytes(harmed(content, rng))
        try:
            assert numbers(READERS[name](run.path)) == expected
        except IntegrityError:
            refused += 1
    assert refused > TRIALS * 0.9


def test_an_edited_ranking_is_believed_by_nobody(run: RunFolder) -> None:
    path = run.path / "ranking.csv"
    table = read_ranking(path).table
    path.write_text(table.assign(rank_low=1, rank_high=1).to_csv(index=False, lineterminator="\n"))
    for reader in (
        read_run,
        lambda folder: read_run(folder / "ranking.csv"),
        lambda folder: score_step(RunFolder(folder)),
    ):
        with pytest.raises(IntegrityError, match="not the"):
            reader(run.path)
    (run.path / SEARCH_NOTES).unlink()
    with pytest.raises(IntegrityError, match=r"not the file that result\.json records"):
        read_run(run.path)
    (run.path / "result.json").unlink()
    assert read_run(run.path).per_query["rank1"].mean() == 1  # a ranking alone: whoever gives it vouches for it


def test_an_old_run_is_held_to_what_its_search_told(run: RunFolder) -> None:
    """Earlier versions wrote documents without digests, and the digest of the ranking into `search.json`."""
    for name in (SEARCH_NOTES, EXPORT_NOTES, "result.json"):
        values = json.loads((run.path / name).read_text())
        for new in ("sha256", "top_sha256") + (("ranking_sha256",) if name == "result.json" else ()):
            values.pop(new, None)
        (run.path / name).write_text(json.dumps(values))
    assert read_run(run.path).record is not None
    for kind, name in ((ExportNotes, EXPORT_NOTES), (SearchNotes, SEARCH_NOTES)):
        with pytest.raises(IntegrityError, match="carries no digest: an earlier version wrote it") as caught:
            read_notes(run.path / name, kind, "eval")  # type: ignore[type-var]
        assert "run `sysu30k-bench eval` again" in str(caught.value.hint)
    path = run.path / "ranking.csv"
    path.write_text(path.read_text().replace(",1,1,", ",2,2,", 1))
    with pytest.raises(IntegrityError, match=r"not the file that search\.json records"):
        read_run(run.path)


@pytest.mark.parametrize("name", [EXPORT_NOTES, SEARCH_NOTES, "ranking.csv", "top.csv", "result.json"])
def test_the_same_command_makes_anew_what_was_damaged(run: RunFolder, asked: ExportRequest, name: str) -> None:
    before, path = read_record(run.path / "result.json"), run.path / name
    ranking = (run.path / "ranking.csv").read_bytes()
    path.write_bytes(path.read_bytes()[:100])
    again, _ = evaluate(EvalRequest(replace(asked, output=run.path)))
    assert again is not None
    assert again.metrics == before.metrics
    assert (run.path / "ranking.csv").read_bytes() == ranking
    assert read_run(run.path).record == again


def test_running_a_finished_run_again_keeps_what_its_embeddings_took(run: RunFolder, asked: ExportRequest) -> None:
    first = read_record(run.path / "result.json")
    assert first.cost.images_embedded == 140
    reseal(run.path / EXPORT_NOTES, seconds=1234.5, machine={**first.environment.search.model_dump(), "device": "then"})
    again, _ = evaluate(EvalRequest(replace(asked, output=run.path)))
    assert again is not None
    assert (again.cost.images_embedded, again.cost.embed_seconds) == (140, 1234.5)
    assert (again.environment.device, again.environment.search.device) == ("then", "cpu")
    assert again.cost.search_seconds != first.cost.search_seconds
    shard = run.embeddings("gallery") / "shard-00001.h5"
    shard.write_bytes(shard.read_bytes()[:-9])
    third, _ = evaluate(EvalRequest(replace(asked, output=run.path)))
    assert third is not None
    assert third.cost.images_embedded == 25
    assert third.cost.embed_seconds < 1000


def test_a_damaged_manifest_is_refused_and_made_anew_once_it_is_deleted(run: RunFolder, asked: ExportRequest) -> None:
    path = run.embeddings("gallery") / "manifest.json"
    content, rng = path.read_bytes(), np.random.default_rng(7)
    request = EvalRequest(replace(asked, output=run.path))
    for _ in range(TRIALS):
        path.write_bytes(harmed(content, rng))
        if json_or_none(path.read_bytes()) != json.loads(content):
            with pytest.raises(IntegrityError, match=r"manifest\.json") as caught:
                search_step.search_step(run, SearchRequest(), Silent())
            assert "delete that file" in str(caught.value.hint)
    path.write_bytes(content.replace(b'"rows": 25', b'"rows": 26', 1))
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        evaluate(request)
    path.unlink()
    before = {file: file.stat().st_mtime_ns for file in path.parent.glob("*.h5")}
    evaluate(request)
    assert {file: file.stat().st_mtime_ns for file in path.parent.glob("*.h5")} == before
    assert path.read_bytes() == content


def json_or_none(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def test_a_damaged_control_is_left_out_with_a_word(run: RunFolder) -> None:
    shutil.copytree(run.path, run.control.path)
    control = score_step(run)
    assert control.control is not None
    path = run.control.path / SEARCH_NOTES
    path.write_bytes(path.read_bytes().replace(b'"gallery": 100', b'"gallery": 101'))
    without = score_step(run)
    assert without.control is None
    assert [line for line in without.warnings if "random control" in line and "left out" in line]
    path.unlink()  # killed before it was searched
    assert not [line for line in score_step(run).warnings if "random control" in line]


class Killed(Silent):
    """Interrupts after some calls."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, count: int) -> None:  # noqa: ARG002
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_search_goes_on_with_the_same_embeddings_alone(
    run: RunFolder, asked: ExportRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_gallery, "search", partial(search, keep_every=0))
    _, other = evaluate(EvalRequest(replace(asked, output=tmp_path / "other", flip="none")))
    expected = (other.path / "ranking.csv").read_bytes()
    assert (run.path / "ranking.csv").read_bytes() != expected
    with pytest.raises(KeyboardInterrupt):
        search_step.search_step(run, SearchRequest(), Killed(4))
    (state,) = run.path.glob("search-state-*.npz")
    kept = state.read_bytes()
    shutil.rmtree(run.path / "embeddings")
    shutil.copytree(other.path / "embeddings", run.path / "embeddings")
    search_step.search_step(run, SearchRequest(), Silent())
    assert (run.path / "ranking.csv").read_bytes() == expected
    assert not list(run.path.glob("search-state-*"))
    state.write_bytes(kept)  # and what a killed search has left is taken away by the next that ends
    search_step.search_step(run, SearchRequest(), Silent())
    assert not state.exists()


def test_what_killed_searches_were_writing_is_removed(run: RunFolder) -> None:
    left = [run.path / ".ranking.csv.77.partial", run.path / ".neighbours.h5.78.partial"]
    (run.path / "search-state-of-mine.npz").mkdir()
    steps = (search_step.search_step, search_step.neighbours_step)
    for step in steps:
        for path in left:
            path.write_bytes(b"half")
        step(run, SearchRequest(top_k=3), Silent())
        assert not [path for path in left if path.exists()]
    assert (run.path / "search-state-of-mine.npz").is_dir()
    (run.path / "top.csv").unlink()
    (run.path / "top.csv").mkdir()
    with pytest.raises(DataError, match=r"cannot write .*top\.csv"):
        search_step.search_step(run, SearchRequest(), Silent())


def test_a_reranking_tells_of_itself(run: RunFolder) -> None:
    path = rerank_step(run, SearchRequest(), RerankSettings(5, 2, 0.3), Silent())
    notes = json.loads((path.parent / SEARCH_NOTES).read_text())
    assert (notes["k1"], notes["k2"], notes["weight"], notes["stores"]) == (5, 2, 0.3, run.stores())
    assert len(read_ranking(path).table) == 40
    path.write_text(path.read_text().replace(",1,1,", ",2,2,", 1))
    with pytest.raises(BenchError, match=r"not the file that search\.json records"):
        read_ranking(path)
    reseal(path.parent / SEARCH_NOTES, ranking_sha256=None)
    read_ranking(path)


def test_documents_that_were_made_to_fit_are_believed(run: RunFolder) -> None:
    """A digest is no signature: whoever computes it anew has said what he means."""
    path = run.path / "ranking.csv"
    path.write_text(path.read_text().replace(",1,1,", ",2,2,", 1))
    retell(run.path)
    assert read_run(run.path).record is not None
