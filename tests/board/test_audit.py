"""Audits of real runs: honest ones pass, and forged ranks, embeddings, shards, lists and models do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from sysu30k_bench.board.audit import AuditPlan, AuditRequest, audit, plan_audit
from sysu30k_bench.board.check import check_board
from sysu30k_bench.board.merkle import merkle_root
from sysu30k_bench.board.rows import SCORES, Row
from sysu30k_bench.board.submit import prepare_evidence, row_bytes
from sysu30k_bench.embeddings.manifest import read_manifest
from sysu30k_bench.embeddings.shard import encode_shard, read_shard
from sysu30k_bench.errors import BenchError, CheckFailedError, DataError, UsageError
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.progress import Silent
from sysu30k_bench.results.record import EvaluationRecord
from tests.conftest import Outcome

Bench = Callable[..., Outcome]


@pytest.fixture(scope="module")
def honest_run(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 40 queries in a gallery of 100, in shards of 16 rows. Read only."""
    run = tmp_path_factory.mktemp("honest") / "run"
    done = bench("eval", stripes_checkpoint, "--data", twin, "--output", run, "--shard-rows", "16")
    assert done.code == 0, done.err
    return run


@pytest.fixture
def run(honest_run: Path, tmp_path: Path) -> Path:
    """The same, to be forged."""
    return Path(shutil.copytree(honest_run, tmp_path / "run"))


def board_of(run: Path, folder: Path, **changes: Any) -> Path:
    """A board with the row of a run, as `submit` would write it if the twin were the published test."""
    record = EvaluationRecord.model_validate_json((run / "result.json").read_bytes())
    evidence = prepare_evidence(run, record).model_copy(update=changes)
    row = Row(
        id="mine",
        method="Mine",
        supervision="none",
        n=record.metrics.rank1.n,
        status="self-reported",
        source="s",
        claimed_by="somebody",
        weights="w",
        evidence=evidence,
        **{name: getattr(record.metrics, name).value for name in SCORES},
    )
    for name in ("rows", "evidence"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "rows" / "mine.json").write_bytes(row_bytes(row))
    shutil.copy(run / "ranking.csv", folder / "evidence" / "mine.csv")
    return folder


@pytest.fixture
def ask(twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> Callable[..., AuditRequest]:
    def make(run: Path, **changes: Any) -> AuditRequest:
        board = changes.pop("board", None) or board_of(run, tmp_path / "board")
        export = ExportRequest(stripes_checkpoint, data=twin, **changes.pop("export", {}))
        return AuditRequest(board, "mine", run, export, "the auditor", **{"queries": 5, "distractors": 7, **changes})

    return make


def done(request: AuditRequest) -> Any:
    return audit(plan_audit(request, Silent()), Silent())


def test_an_honest_run_is_audited_by_the_command(
    bench: Bench, run: Path, twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    board = board_of(run, tmp_path / "board")
    words = ["leaderboard", "audit", "mine", "--checkpoint", stripes_checkpoint, "--data", twin, "--run", run]
    words += ["--board", board, "--by", "the auditor", "--queries", "6", "--distractors", "9"]
    planned = bench(*words, "--dry-run")
    assert planned.code == 0, planned.err
    assert len(planned.json["images"]["query"]) == 6
    assert len(planned.json["images"]["gallery"]) == 15
    assert not (board / "confirmations").exists()
    made = bench(*words, "--json")
    assert made.code == 0, made.err
    assert (made.json["queries"], made.json["distractors"], made.json["searched"]) == (6, 9, True)
    assert made.json["lowest_cosine"] > 1 - 1e-6
    assert json.loads((board / "rows" / "mine.json").read_text())["status"] == "audited"
    about = [fault for fault in check_board(board) if "confirm" in fault or "status" in fault]
    assert about == []
    again = bench(*words)
    assert "mine: audited. Audited by the auditor" in again.out
    assert "would be missed with a chance of 5 %" in again.out


def test_the_picks_are_a_function_of_row_and_nonce(run: Path, ask: Callable[..., AuditRequest]) -> None:
    request = ask(run)
    one, two = plan_audit(request, Silent()), plan_audit(request, Silent())
    assert one.said == two.said
    other = plan_audit(replace(request, nonce="a later commit"), Silent())
    assert other.said["images"] != one.said["images"]
    more = plan_audit(replace(request, queries=40, distractors=1000), Silent())
    assert (len(more.picks["query"]), len(more.picks["gallery"])) == (40, 100)
    matches = set(one.test_set.gallery.person_ids[one.picks["gallery"]]) & set(
        one.test_set.query.person_ids[one.picks["query"]]
    )
    assert len(matches) == 5


def test_what_could_be_missed_is_computed(run: Path, ask: Callable[..., AuditRequest]) -> None:
    plan = plan_audit(ask(run, queries=10), Silent())
    forged = round(plan.undetected * 40)

    def missed(count: int) -> float:
        """No forged query among ten drawn of forty, one draw after the other."""
        return float(np.prod([(40 - count - drawn) / (40 - drawn) for drawn in range(10)]))

    assert missed(forged) >= 0.05 > missed(forged + 1)


def forge(run: Path, role: str, change: Callable[[np.ndarray], None]) -> None:
    """Changes a store's embeddings and everything that is computed from them in it."""
    folder = run / "embeddings" / role
    manifest = read_manifest(folder)
    assert manifest is not None
    entries = []
    for entry in manifest.shards:
        shard = read_shard(folder / entry.file)
        embedding = shard.embedding.copy()
        change(embedding)
        forged = replace(shard, embedding=embedding)
        (folder / entry.file).write_bytes(encode_shard(forged, manifest.identity.digest))
        entries.append(entry.model_copy(update={"content_sha256": forged.content_digest}))
    manifest.model_copy(update={"shards": entries}).write(folder)
    notes = json.loads((run / "export.json").read_text())
    notes["stores"][role] = sha256_of_file(folder / "manifest.json")
    (run / "export.json").write_text(json.dumps(notes))


def mirror_one(embedding: np.ndarray) -> None:
    embedding[3] = embedding[3][::-1]


def test_forged_embeddings_are_found_though_everything_fits_them(
    bench: Bench, run: Path, ask: Callable[..., AuditRequest]
) -> None:
    forge(run, "query", mirror_one)
    for step in ("search", "score"):
        assert bench(step, run).code == 0
    plan = plan_audit(ask(run, queries=40), Silent())
    with pytest.raises(CheckFailedError, match="3 of 87 picked images have other embeddings") as caught:
        audit(plan, Silent())
    assert all(detail.startswith("query ") for detail in caught.value.details)


def test_a_forger_of_few_queries_may_be_lucky_and_ranks_still_hold(
    bench: Bench, run: Path, ask: Callable[..., AuditRequest]
) -> None:
    forge(run, "query", mirror_one)
    for step in ("search", "score"):
        assert bench(step, run).code == 0
    request = ask(run, queries=1, distractors=0)
    outcomes = set()
    for nonce in "abcdefghijklmnop":
        try:
            outcomes.add(done(replace(request, nonce=nonce)).searched)
        except CheckFailedError:
            outcomes.add("found")
    assert outcomes == {True, "found"}


def test_forged_ranks_are_found(run: Path, ask: Callable[..., AuditRequest]) -> None:
    path = run / "ranking.csv"
    lines = path.read_text().splitlines()
    worse = next(number for number, line in enumerate(lines[1:], 1) if line.split(",")[2] != "1")
    cells = lines[worse].split(",")
    lines[worse] = ",".join([*cells[:2], "1", "1", *cells[4:]])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(CheckFailedError, match="do not give the ranking of mine: 1 queries differ") as caught:
        done(ask(run))
    assert caught.value.details == [cells[0]]


def test_embeddings_that_were_not_committed_are_refused(run: Path, ask: Callable[..., AuditRequest]) -> None:
    request = ask(run)
    forge(run, "gallery", mirror_one)
    with pytest.raises(CheckFailedError, match="does not hold the embeddings that mine commits to"):
        plan_audit(request, Silent())


def test_a_checksum_that_a_forger_set_does_not_help(run: Path, ask: Callable[..., AuditRequest]) -> None:
    request = ask(run)
    path = run / "embeddings" / "gallery" / "shard-00001.h5"
    shard = read_shard(path)
    embedding = shard.embedding.copy()
    mirror_one(embedding)
    forged = replace(shard, embedding=embedding)
    with h5py.File(path, "r+") as file:
        file["embedding"][:] = embedding
        file.attrs["checksum"] = np.bytes_(forged.checksum)
    plan = plan_audit(request, Silent())
    assert read_shard(path, content=plan.stores["gallery"].manifest.shards[1].content_sha256).first == 16
    with pytest.raises(BenchError, match=r"shard-00001.h5 (was changed|is not the shard)"):
        audit(plan, Silent())


def lose(plan: AuditPlan, keep: bool) -> list[Path]:
    needed = plan.said["shards"]
    assert isinstance(needed, dict)
    folder = plan.stores["gallery"].folder
    lost = [path for path in sorted(folder.glob("*.h5")) if (path.name in needed["gallery"]) != keep]
    for path in lost:
        path.unlink()
    return lost


def test_shards_without_picked_images_may_be_missing_and_it_says_so(
    run: Path, ask: Callable[..., AuditRequest]
) -> None:
    request = ask(run, queries=1, distractors=1)
    assert lose(plan_audit(request, Silent()), keep=True)
    found = done(request)
    assert not found.searched
    assert "were not all there to be searched again" in found.said


def test_shards_with_picked_images_must_be_there(run: Path, ask: Callable[..., AuditRequest]) -> None:
    request = ask(run, queries=1, distractors=1)
    lost = lose(plan_audit(request, Silent()), keep=False)
    with pytest.raises(DataError, match="hold picked images and are not there") as caught:
        plan_audit(request, Silent())
    assert caught.value.details == [f"gallery/{path.name}" for path in lost]


def test_another_checkpoint_is_not_the_rows(run: Path, ask: Callable[..., AuditRequest], tmp_path: Path) -> None:
    request = ask(run)
    other = tmp_path / "other.pth"
    state = torch.load(request.export.checkpoint, weights_only=True)
    torch.save({**{name: value.clone() for name, value in state.items()}}, other, _use_new_zipfile_serialization=False)
    assert sha256_of_file(other) != sha256_of_file(request.export.checkpoint)
    with pytest.raises(CheckFailedError, match="is not the model of mine") as caught:
        done(replace(request, export=replace(request.export, checkpoint=other)))
    assert caught.value.details[0].startswith("weights: ")


def test_another_card_is_not_the_rows(run: Path, ask: Callable[..., AuditRequest]) -> None:
    with pytest.raises(CheckFailedError, match="is not the model of mine") as caught:
        done(ask(run, export={"flip": "none"}))
    assert caught.value.details[0].startswith("card: ")


def test_other_lists_are_not_the_rows(run: Path, ask: Callable[..., AuditRequest], own_twin: Path) -> None:
    request = ask(run)
    with pytest.raises(CheckFailedError, match=r"the query list below .* is not that of mine"):
        plan_audit(replace(request, export=replace(request.export, data=own_twin)), Silent())


def test_rows_that_cannot_be_audited(run: Path, ask: Callable[..., AuditRequest], tmp_path: Path) -> None:
    request = ask(run)
    with pytest.raises(DataError, match="there is no row"):
        plan_audit(replace(request, row="nobody"), Silent())
    shutil.copy(Path(__file__).parents[2] / "leaderboard" / "rows" / "dgl.json", request.board / "rows")
    with pytest.raises(UsageError, match="dgl is only reported"):
        plan_audit(replace(request, row="dgl"), Silent())
    with pytest.raises(DataError, match="there is no manifest"):
        plan_audit(replace(request, run=tmp_path / "nowhere"), Silent())
    with pytest.raises(UsageError, match="--data is missing"):
        plan_audit(replace(request, export=replace(request.export, data=None)), Silent())
    broken = board_of(run, tmp_path / "broken", shards_root=merkle_root(["0" * 64]))
    with pytest.raises(CheckFailedError, match="commits to"):
        plan_audit(replace(request, board=broken), Silent())
