"""The history of a watch, damaged and interrupted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pandas as pd
import pytest
import torch

from sysu30k_bench import files
from sysu30k_bench.errors import IntegrityError, UnwritableError
from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.progress import Silent
from sysu30k_bench.training.watch import history as module
from sysu30k_bench.training.watch.history import CSV_NAME, CURVE_NAME, HISTORY_NAME, History, Row
from sysu30k_bench.training.watch.watch import Watch, WatchRequest

TASK = {"dataset": "sysu30k"}
RANKS = pd.Series([1.0, 3.5], index=pd.Index(["a", "b"], name="query"), name="first_rank")
ROW = Row(name="net.pth", sha256="0" * 64, changed=1.0, figures={"rank1": 0.5, "log_rank": 0.6})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    History(tmp_path, TASK).add(ROW, RANKS)
    return tmp_path


def test_another_number_in_a_history_is_refused(folder: Path) -> None:
    path = folder / HISTORY_NAME
    path.write_text(path.read_text().replace("0.5", "0.7"))
    with pytest.raises(IntegrityError, match="changed or damaged"):
        History(folder, TASK)


def test_a_history_of_an_earlier_version_has_no_digest_and_is_read(folder: Path) -> None:
    path = folder / HISTORY_NAME
    kept = [line for line in path.read_text().splitlines() if "sha256" not in line or '"0000' in line]
    path.write_text("\n".join(kept).replace('"reasons": [],', '"reasons": []'))
    [row] = History(folder, TASK).rows
    assert row.ranks_sha256 is None
    assert History(folder, TASK).ranks(row) is not None


def test_other_ranks_are_refused_and_missing_ones_are_none(folder: Path) -> None:
    history = History(folder, TASK)
    [row] = history.rows
    assert history.ranks(row) is not None
    [path] = (folder / "ranks").iterdir()
    path.write_text(path.read_text().replace("3.5", "3.4"))
    with pytest.raises(IntegrityError, match="records other ranks"):
        history.ranks(row)
    path.write_text("x")
    with pytest.raises(IntegrityError, match="is damaged"):
        history.ranks(row.model_copy(update={"ranks_sha256": None}))
    path.unlink()
    assert history.ranks(row) is None


def test_table_and_curve_follow_after_an_interruption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {name: (folder / name).read_bytes() for name in (CSV_NAME, CURVE_NAME)}
    (folder / CURVE_NAME).unlink()
    (folder / CSV_NAME).unlink()
    History(folder, TASK).tell()
    assert {name: (folder / name).read_bytes() for name in whole} == whole
    monkeypatch.setattr(module, "_curve", lambda _: pytest.fail("drawn again although nothing is new"))
    History(folder, TASK).tell()


def test_a_full_disk_is_no_broken_checkpoint(tmp_path: Path, twin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    torch.save(TinyNet().state_dict(), tmp_path / "runs" / "a.pth")
    request = WatchRequest([tmp_path / "runs"], data=twin, output=tmp_path / "watch", distractors=20, device="cpu")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UnwritableError, match="disk is full"):
        Watch(request, Silent()).once()
    monkeypatch.undo()
    again = Watch(request, Silent())
    assert not again.history.rows
    again.once()
    assert [row.flags for row in again.history.rows] == [[]]
