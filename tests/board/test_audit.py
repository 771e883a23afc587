"""Audits of real runs: honest ones pass, and forged ranks, embeddings, shards, lists and models do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sysu30k_bench.board.audit.audit import audit
from sysu30k_bench.board.audit.confirm import ConfirmRequest, plan_row_audit
from sysu30k_bench.board.audit.merkle import merkle_root
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.embeddings.shard import read_shard
from sysu30k_bench.errors import BenchError, CheckFailedError, DataError, UsageError
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.progress import Silent
from tests.board.forging import Bench, board_of, done, forge, mirror_one, scored_anew, words_for
from tests.sealing import reseal, retell


def test_an_honest_run_is_audited_by_the_command(
    bench: Bench, run: Path, twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    board = board_of(run, tmp_path / "board")
    words = [*words_for("audit", run, twin, stripes_checkpoint, board), "--by", "the auditor"]
    planned = bench(*words, "--dry-run")
    assert planned.code == 0, planned.err
    assert len(planned.json["images"]["query"]) == 40
    assert len(planned.json["images"]["gallery"]) == 100
    assert not (board / "confirmations").exists()
    made = bench(*words, "--json")
    assert made.code == 0, made.err
    found = made.json["found"]
    assert (found["queries"], found["of_queries"], found["distractors"]) == (40, 40, 60)
    assert found["distance"] < 1e-5
    assert abs(found["lean"]) < 1e-6
    assert json.loads((board / "rows" / "mine.json").read_text())["status"] == "audited"
    about = [fault for fault in check_board(board) if "confirm" in fault or "status" in fault]
    assert about == []
    again = bench(*words)
    assert "mine: audited. Audited by the auditor" in again.out
    assert "nonce a later commit" in again.out
    assert "Every image was encoded again." in again.out
    assert again.out.endswith(f"next: sysu30k-bench leaderboard render {board} --no-site\n")


def test_words_are_refused_before_any_work(
    bench: Bench, run: Path, twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    board = board_of(run, tmp_path / "board")
    words = words_for("audit", run, twin, stripes_checkpoint, board)
    for by, nonce in (("A <a@b.example>", "12345678"), ("x" * 101, "12345678"), ("me", "short"), ("me", "n" * 101)):
        bad = bench(*words[:-1], nonce, "--by", by)
        assert bad.code == 2, bad.err
    few = bench(*words, "--by", "me", "--queries", "39")
    assert (few.code, "39 queries are too few" in few.err) == (2, True)
    few = bench(*words, "--by", "me", "--distractors", "0")
    assert (few.code, "0 distractors are too few" in few.err) == (2, True)


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets audits pick five queries and seven distractors, so that there is something to pick."""
    for name, least in (("LEAST_QUERIES", 5), ("LEAST_DISTRACTORS", 7)):
        monkeypatch.setattr(f"sysu30k_bench.board.audit.audit.{name}", least)
        monkeypatch.setattr(f"sysu30k_bench.board.audit.confirmation.{name}", least)


@pytest.mark.usefixtures("smaller")
def test_the_picks_are_a_function_of_row_and_nonce(run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    request = ask(run, queries=5, distractors=7)
    one, two = plan_row_audit(request, Silent()), plan_row_audit(request, Silent())
    assert one.summary == two.summary
    other = plan_row_audit(replace(request, nonce="another nonce"), Silent())
    assert other.summary["images"] != one.summary["images"]
    assert (len(one.picks["query"]), len(one.picks["gallery"])) == (5, 12)
    matches = set(one.test_set.gallery.person_ids[one.picks["gallery"]]) & set(
        one.test_set.query.person_ids[one.picks["query"]]
    )
    assert len(matches) == 5
    assert done(request).queries == 5


@pytest.mark.usefixtures("smaller")
def test_what_could_be_missed_is_computed(run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    queries, distractors = plan_row_audit(ask(run, queries=10, distractors=12), Silent()).undetected

    def missed(forged: int, sampled: int, of: int) -> float:
        """No forged one among some drawn, one draw after the other."""
        return float(np.prod([(of - forged - drawn) / (of - drawn) for drawn in range(sampled)]))

    assert missed(queries, 10, 40) >= 0.05 > missed(queries + 1, 10, 40)
    assert missed(distractors, 12, 60) >= 0.05 > missed(distractors + 1, 12, 60)


def closer(step: float) -> Callable[[dict[str, list[np.ndarray]]], None]:
    """Moves every query towards the first gallery images, which are the matches."""

    def change(embeddings: dict[str, list[np.ndarray]]) -> None:
        matches = np.concatenate(embeddings["gallery"])[:40]
        place = 0
        for embedding in embeddings["query"]:
            mine = matches[place : place + len(embedding)]
            place += len(embedding)
            embedding += step * (mine - embedding)
            embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)

    return change


@pytest.mark.parametrize(
    ("change", "said"), [(mirror_one, "1 of 140 selected images"), (closer(0.2), "selected images")]
)
def test_forged_embeddings_are_found_though_everything_fits_them(
    bench: Bench, run: Path, ask: Callable[..., ConfirmRequest], change: Callable[..., None], said: str
) -> None:
    forge(run, change)
    scored_anew(bench, run)
    with pytest.raises(CheckFailedError, match=said) as caught:
        done(ask(run))
    assert all(detail.startswith("query ") for detail in caught.value.details)


@pytest.mark.parametrize(("factor", "said"), [(1.0009, "shifted towards the matches"), (1.004, "selected images")])
def test_norms_are_no_way_round_it(
    bench: Bench, run: Path, ask: Callable[..., ConfirmRequest], factor: float, said: str
) -> None:
    def longer_matches(embeddings: dict[str, list[np.ndarray]]) -> None:
        place = 0
        for embedding in embeddings["gallery"]:
            embedding[: max(0, 40 - place)] *= factor
            place += len(embedding)

    forge(run, longer_matches)
    for step in ("search", "score"):
        bench(step, run)  # the search refuses the longer ones itself, and leaves the ranking as it was
    with pytest.raises(CheckFailedError, match=said):
        done(ask(run))


def test_small_steps_away_from_impostors_are_a_lean(
    bench: Bench, run: Path, ask: Callable[..., ConfirmRequest]
) -> None:
    """Every query moves by 0.15 % of its length, straight away from the image of somebody else that is nearest."""

    def away(embeddings: dict[str, list[np.ndarray]]) -> None:
        gallery = np.concatenate(embeddings["gallery"])
        place = 0
        for embedding in embeddings["query"]:
            scores = embedding @ gallery.T
            scores[np.arange(len(embedding)), place + np.arange(len(embedding))] = -1
            nearest = gallery[scores.argmax(axis=1)]
            match = gallery[place : place + len(embedding)]
            place += len(embedding)
            step = match - nearest
            step /= np.linalg.norm(step, axis=1, keepdims=True)
            embedding += 0.0015 * step
            embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)

    forge(run, away)
    scored_anew(bench, run)
    with pytest.raises(CheckFailedError, match="shifted towards the matches"):
        done(ask(run))


def test_many_small_steps_in_one_direction_are_a_lean(
    bench: Bench, run: Path, ask: Callable[..., ConfirmRequest]
) -> None:
    forge(run, closer(0.002))
    scored_anew(bench, run)
    with pytest.raises(CheckFailedError, match="shifted towards the matches"):
        done(ask(run))


@pytest.mark.usefixtures("smaller")
def test_a_forger_of_one_query_may_be_lucky(bench: Bench, run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    forge(run, mirror_one)
    scored_anew(bench, run)
    request = ask(run, queries=5, distractors=7)
    outcomes = set()
    for number in range(12):
        try:
            outcomes.add(done(replace(request, nonce=f"nonce {number:04}")).queries)
        except CheckFailedError:
            outcomes.add("found")
        if len(outcomes) == 2:
            break
    assert outcomes == {5, "found"}


def test_forged_ranks_are_found(bench: Bench, run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    path = run / "ranking.csv"
    lines = path.read_text().splitlines()
    worse = next(number for number, line in enumerate(lines[1:], 1) if line.split(",")[2] != "1")
    cells = lines[worse].split(",")
    lines[worse] = ",".join([*cells[:2], "1", "1", *cells[4:6], "0.01"])  # a margin that fits the rank
    path.write_text("\n".join(lines) + "\n")
    retell(run)
    assert bench("score", run).code == 0
    with pytest.raises(CheckFailedError, match="do not give the claimed ranking: 1 query differs") as caught:
        done(ask(run))
    assert caught.value.details == [cells[0]]


def test_numbers_that_do_not_follow_from_the_ranking_are_refused(run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    request = ask(run)
    path = request.board / "rows" / "mine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rank1": 0.999}))
    with pytest.raises(CheckFailedError, match="mine does not stand") as caught:
        plan_row_audit(request, Silent())
    assert "rank1 is 0.999" in caught.value.details[0]


def test_embeddings_that_were_not_committed_are_refused(run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    request = ask(run)
    forge(run, mirror_one)
    with pytest.raises(CheckFailedError, match="does not hold the embeddings that the row commits to"):
        plan_row_audit(request, Silent())


def test_a_checksum_that_a_forger_set_does_not_help(run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    request = ask(run)
    path = run / "embeddings" / "gallery" / "shard-00001.h5"
    shard = read_shard(path)
    embedding = shard.embedding.copy()
    embedding[3] = embedding[3][::-1]
    forged = replace(shard, embedding=embedding)
    with h5py.File(path, "r+") as file:
        file["embedding"][:] = embedding
        file.attrs["checksum"] = np.bytes_(forged.checksum)
    plan = plan_row_audit(request, Silent())
    assert read_shard(path, content=plan.committed.stores["gallery"].manifest.shards[1].content_sha256).first == 16
    with pytest.raises(BenchError, match=r"shard-00001.h5 (was changed|is not the shard)"):
        audit(plan, Silent())


@pytest.mark.parametrize(
    ("role", "change", "said"),
    [
        ("gallery", {"dimension": 7}, "7 dimensions"),
        ("gallery", {"rows": 99}, "do not add up to its rows"),
        ("query", {"shard_count": 1}, "does not list every shard once"),
    ],
)
def test_manifests_that_lie_are_refused_and_are_no_bug(
    run: Path, ask: Callable[..., ConfirmRequest], role: str, change: dict[str, int], said: str
) -> None:
    request = ask(run)
    path = run / "embeddings" / role / "manifest.json"
    document = json.loads(path.read_text())
    document.update({name: value for name, value in change.items() if name in document})
    if "shard_count" in change:
        document["shards"][1]["first"] = 0
    reseal(path, **document)
    with pytest.raises(BenchError) as caught:
        done(request)
    assert said in str(caught.value)


def test_every_committed_shard_must_be_there(run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    request = ask(run)
    (run / "embeddings" / "gallery" / "shard-00004.h5").unlink()
    with pytest.raises(DataError, match=r"1 shard of .* is not there") as caught:
        plan_row_audit(request, Silent())
    assert caught.value.details == ["gallery/shard-00004.h5"]


def test_another_checkpoint_is_not_the_rows(run: Path, ask: Callable[..., ConfirmRequest], tmp_path: Path) -> None:
    request = ask(run)
    other = tmp_path / "other.pth"
    state = torch.load(request.export.checkpoint, weights_only=True)
    torch.save({**{name: value.clone() for name, value in state.items()}}, other, _use_new_zipfile_serialization=False)
    assert sha256_of_file(other) != sha256_of_file(request.export.checkpoint)
    with pytest.raises(CheckFailedError, match="is not the model of the row") as caught:
        done(replace(request, export=replace(request.export, checkpoint=other)))
    assert caught.value.details[0].startswith("weights: ")


def test_another_card_is_not_the_rows(run: Path, ask: Callable[..., ConfirmRequest]) -> None:
    with pytest.raises(CheckFailedError, match="is not the model of the row") as caught:
        done(ask(run, export={"flip": "none"}))
    assert caught.value.details[0].startswith("card: ")


def test_other_lists_are_not_the_rows(run: Path, ask: Callable[..., ConfirmRequest], own_twin: Path) -> None:
    request = ask(run)
    with pytest.raises(CheckFailedError, match="do not fit the row") as caught:
        plan_row_audit(replace(request, export=replace(request.export, data=own_twin)), Silent())
    assert "another list" in caught.value.details[0]


def test_features_have_no_network_to_encode_with(run: Path, ask: Callable[..., ConfirmRequest], tmp_path: Path) -> None:
    request = ask(run)
    np.savez(tmp_path / "features.npz", embedding=np.eye(3, dtype=np.float32), key=np.array(["a", "b", "c"]))
    export = replace(request.export, checkpoint=tmp_path / "features.npz")
    with pytest.raises(UsageError, match="there is no network to encode"):
        plan_row_audit(replace(request, export=export), Silent())


def test_rows_that_cannot_be_audited(run: Path, ask: Callable[..., ConfirmRequest], tmp_path: Path) -> None:
    request = ask(run)
    with pytest.raises(DataError, match="there is no row"):
        plan_row_audit(replace(request, row="nobody"), Silent())
    for trick in ("./mine", "../rows/mine", "mine.json", ""):
        with pytest.raises(UsageError, match="is no id of a row"):
            plan_row_audit(replace(request, row=trick), Silent())
    shutil.copy(Path(__file__).parents[2] / "leaderboard" / "rows" / "dgl.json", request.board / "rows")
    with pytest.raises(UsageError, match="dgl is only reported"):
        plan_row_audit(replace(request, row="dgl"), Silent())
    with pytest.raises(DataError, match="there is no manifest"):
        plan_row_audit(replace(request, run=tmp_path / "nowhere"), Silent())
    with pytest.raises(UsageError, match="--data is missing"):
        plan_row_audit(replace(request, export=replace(request.export, data=None)), Silent())
    broken = board_of(run, tmp_path / "broken", shards_root=merkle_root(["0" * 64]))
    with pytest.raises(CheckFailedError, match="commits to"):
        plan_row_audit(replace(request, board=broken), Silent())
    other = board_of(run, tmp_path / "other", compute="bf16", storage="float16", dimension=9)
    with pytest.raises(CheckFailedError, match="do not fit the row") as caught:
        plan_row_audit(replace(request, board=other), Silent())
    assert len(caught.value.details) == 3
