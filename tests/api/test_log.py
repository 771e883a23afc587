from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sysu30k_bench as sb


@pytest.fixture
def result() -> sb.Result:
    return sb.score(np.eye(3), np.eye(3), query_ids=[1, 2, 3], gallery_ids=[1, 2, 4])


def test_a_csv_gets_a_row_a_call(result: sb.Result, tmp_path: Path) -> None:
    for step in (1, 2):
        sb.log_result(result, tmp_path / "log.csv", step=step)
    table = pd.read_csv(tmp_path / "log.csv")
    assert table["step"].tolist() == [1, 2]
    assert table["rank1"].tolist() == [result.rank1.value] * 2
    (tmp_path / "log.csv").write_text("epoch,loss\n1,2\n")
    with pytest.raises(sb.IntegrityError, match="has other columns"):
        sb.log_result(result, tmp_path / "log.csv", step=3)
    assert (tmp_path / "log.csv").read_text() == "epoch,loss\n1,2\n"


def test_what_is_no_result_or_no_step_is_named_and_nothing_is_written(result: sb.Result, tmp_path: Path) -> None:
    given: Any = 3
    with pytest.raises(sb.UsageError, match="result is an int"):
        sb.log_result(given, tmp_path / "log.csv", step=1)
    for step in ("first", 1.5, True):
        with pytest.raises(sb.UsageError, match="step is "):
            sb.log_result(result, tmp_path / "log.csv", step=step)  # type: ignore[arg-type]
    assert not (tmp_path / "log.csv").exists()
    sb.log_result(result, tmp_path / "log.csv", step=np.int64(4))  # type: ignore[arg-type]
    assert pd.read_csv(tmp_path / "log.csv")["step"].tolist() == [4]


def test_a_function_gets_numbers_and_step(result: sb.Result) -> None:
    seen: list[Any] = []
    sb.log_result(result, lambda metrics, step: seen.append((metrics, step)), step=7, prefix="val/")
    ((metrics, step),) = seen
    assert step == 7
    assert metrics["val/rank1"] == result.rank1.value
    with pytest.raises(sb.UsageError, match="to is a int"):
        sb.log_result(result, 3)  # type: ignore[arg-type]


def test_tensorboard_gets_scalars(result: sb.Result, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "own")) as writer:
        sb.log_result(result, writer, step=1)
    sb.log_result(result, tmp_path / "made", step=1)
    for folder in ("own", "made"):
        events = accumulator.EventAccumulator(str(tmp_path / folder))
        events.Reload()
        (scalar,) = events.Scalars("retrieval/rank1")
        assert (scalar.step, scalar.value) == (1, pytest.approx(result.rank1.value))
