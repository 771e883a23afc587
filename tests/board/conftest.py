"""Real runs on a twin, for audits and repetitions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sysu30k_bench.board.audit.confirm import ConfirmRequest
from sysu30k_bench.evaluation.request import ExportRequest
from tests.board.forging import board_of
from tests.conftest import Outcome

Bench = Callable[..., Outcome]


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
