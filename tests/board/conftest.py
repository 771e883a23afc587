"""Real runs on a twin, for audits and repetitions; a board with a submission."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sysu30k_bench.board.audit.confirm import ConfirmRequest
from sysu30k_bench.board.submit import Claim, prepare
from sysu30k_bench.evaluation.request import ExportRequest
from sysu30k_bench.metrics.summary import summarise
from sysu30k_bench.results.build import metrics_of, ties_of
from sysu30k_bench.results.record import EvaluationRecord
from sysu30k_bench.search.ranking import read_ranking
from tests.board.forging import board_of
from tests.board.made import write_evidence
from tests.conftest import Outcome
from tests.sealing import retell

Bench = Callable[..., Outcome]
CLAIM = Claim("new-method", "New Method", "self supervised", "https://example.org/code", "somebody", "epoch 800")


@pytest.fixture(scope="session")
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


@pytest.fixture
def ask(twin: Path, stripes_checkpoint: Path, tmp_path: Path) -> Callable[..., ConfirmRequest]:
    def make(run: Path, **changes: Any) -> ConfirmRequest:
        board = changes.pop("board", None) or board_of(run, tmp_path / "board")
        export = ExportRequest(stripes_checkpoint, data=twin, **changes.pop("export", {}))
        return ConfirmRequest(board, "mine", run, export, "the auditor", "a later commit", **changes)

    return make


@pytest.fixture(scope="session")
def official_run(bench: Bench, twin: Path, stripes_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run folder whose record says that it was on the published lists, with ranks as such a run would have."""
    run = tmp_path_factory.mktemp("official") / "run"
    assert bench("eval", stripes_checkpoint, "--data", twin, "--output", run).code == 0
    ranks = np.random.default_rng(0).geometric(0.02, 1000).tolist()
    write_evidence(run / "ranking.csv", [1] * 200 + ranks[200:])
    retell(run)
    record = EvaluationRecord.model_validate_json((run / "result.json").read_bytes())
    summary = summarise(read_ranking(run / "ranking.csv"))
    changes = {"official": True, "not_official_because": [], "metrics": metrics_of(summary), "ties": ties_of(summary)}
    record.model_copy(update=changes).write(run)
    return run


@pytest.fixture(scope="session")
def submitted(official_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published rows and one submission. Read only."""
    folder = tmp_path_factory.mktemp("submitted") / "board"
    shutil.copytree(Path(__file__).parents[2] / "leaderboard" / "rows", folder / "rows")
    prepare(official_run, CLAIM).write(folder)
    return folder


@pytest.fixture
def board(submitted: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(submitted, tmp_path / "board"))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The published rows alone."""
    shutil.copytree(Path(__file__).parents[2] / "leaderboard" / "rows", tmp_path / "published" / "rows")
    return tmp_path / "published"
