"""Repetitions of rows: by somebody else, of the same weights, with embeddings that are audited."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sysu30k_bench.board.audit.confirmation import Reproduction, read_confirmation
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.files import sha256_of_file
from tests.board.forging import board_of, forge, scored_anew, words_for
from tests.conftest import Outcome
from tests.sealing import reseal, retell

Bench = Callable[..., Outcome]


def as_official(run: Path, **changes: Any) -> Path:
    """Says of a run that it was on the published lists, as a stranger could, too."""
    path = run / "result.json"
    record = json.loads(path.read_text())
    record.update({"official": True, "not_official_because": []})
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if key:
            record[part][key] = value
        else:
            record[part] = value
    reseal(path, **record)
    return run


def mirror_a_distractor(embeddings: dict[str, list[np.ndarray]]) -> None:
    embeddings["gallery"][-1][-1] = embeddings["gallery"][-1][-1][::-1]


@pytest.fixture
def board(honest_run: Path, tmp_path: Path) -> Path:
    return board_of(honest_run, tmp_path / "board")


@pytest.fixture
def again(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> Path:
    """Another group's run, in other batches and shards."""
    run = tmp_path / "again"
    words = ["eval", stripes_checkpoint, "--data", twin, "--output", run, "--batch-size", "3", "--shard-rows", "30"]
    assert bench(*words).code == 0
    return as_official(run)


def test_somebody_else_reproduces_a_row(
    bench: Bench, board: Path, again: Path, twin: Path, stripes_checkpoint: Path
) -> None:
    words = words_for("reproduce", again, twin, stripes_checkpoint, board)
    for name in ("somebody", "Somebody ", " SOMEBODY"):
        own = bench(*words, "--by", name)
        assert own.code == 2
        assert "another person must reproduce it" in own.err
    done = bench(*words, "--by", "another group")
    assert done.code == 0, done.err
    assert "mine: reproduced. Reproduced by another group" in done.out
    assert "0 queries lost and 0 won" in done.out
    assert json.loads((board / "rows" / "mine.json").read_text())["status"] == "reproduced"
    path = board / "confirmations" / "mine.reproduction.json"
    found = read_confirmation(path)
    assert isinstance(found, Reproduction)
    assert found.ranking_sha256 == sha256_of_file(again / "ranking.csv")
    said = json.loads(path.read_text())

    def faults(**changes: Any) -> str:
        path.write_text(json.dumps({**said, **changes}))
        return " ".join(fault for fault in check_board(board) if "confirmations/" in fault)

    assert faults() == ""
    assert "does not fit the queries that differ" in faults(rank1=0.1)
    assert "that confirms nothing" in faults(lost=30)
    assert "the claimant of a row cannot reproduce it" in faults(by="SOMEBODY")


def test_a_run_without_its_shards_proves_nothing(
    bench: Bench, board: Path, again: Path, twin: Path, stripes_checkpoint: Path
) -> None:
    for path in again.rglob("*.h5"):
        path.unlink()
    done = bench(*words_for("reproduce", again, twin, stripes_checkpoint, board), "--by", "a friend")
    assert done.code == 3
    assert "shards of" in done.err
    assert not (board / "confirmations").exists()


def test_the_rows_own_embeddings_are_no_repetition(
    bench: Bench,
    board: Path,
    honest_run: Path,
    twin: Path,
    stripes_checkpoint: Path,
    tmp_path: Path,
) -> None:
    copy = as_official(Path(shutil.copytree(honest_run, tmp_path / "copy")))
    done = bench(*words_for("reproduce", copy, twin, stripes_checkpoint, board), "--by", "a friend")
    assert (done.code, "this may be a copy, not a reproduction" in done.err) == (1, True)


def test_runs_that_do_not_reproduce(
    bench: Bench, board: Path, again: Path, twin: Path, stripes_checkpoint: Path, tmp_path: Path
) -> None:
    def refused(run: Path) -> str:
        done = bench(*words_for("reproduce", run, twin, stripes_checkpoint, board), "--by", "another group")
        assert done.code == 1, done.err
        return done.err

    def copied(name: str) -> Path:
        return Path(shutil.copytree(again, tmp_path / name))

    limited = as_official(copied("limited"), official=False, not_official_because=["--limit 10"])
    assert "--limit 10" in refused(limited)
    assert "weights_sha256: 111" in refused(as_official(copied("weights"), model__weights_sha256="1" * 64))
    metric = {"value": 1.0, "low": 1.0, "high": 1.0, "n": 40}
    assert "does not follow from ranking.csv" in refused(as_official(copied("typed"), metrics__rank1=metric))
    forged = copied("forged")
    forge(forged, mirror_a_distractor)
    scored_anew(bench, forged)
    assert "selected images have embeddings that differ" in refused(as_official(forged))
    flipped = copied("flipped")
    lines = (flipped / "ranking.csv").read_text().splitlines()
    cells = lines[1].split(",")
    other = "1" if cells[2] != "1" else "2"
    lines[1] = ",".join([*cells[:2], other, other, *cells[4:]])
    (flipped / "ranking.csv").write_text("\n".join(lines) + "\n")
    retell(flipped)
    assert bench("score", flipped).code == 0
    assert "differ at rank 1" in refused(as_official(flipped))
