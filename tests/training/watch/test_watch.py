"""A watch over checkpoints that appear, break, vanish and get worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sysu30k_bench.errors import IntegrityError, UsageError
from sysu30k_bench.models.networks.tiny import TinyNet
from sysu30k_bench.progress import Silent
from sysu30k_bench.training.watch.flags import flags_of
from sysu30k_bench.training.watch.history import History, Row
from sysu30k_bench.training.watch.watch import Watch, WatchRequest


class Said(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def net(seed: int) -> TinyNet:
    torch.manual_seed(seed)
    return TinyNet()


def request(tmp_path: Path, twin: Path, **changes: Any) -> WatchRequest:
    (tmp_path / "runs").mkdir(exist_ok=True)
    return WatchRequest(**({"folders": [tmp_path / "runs"], "data": twin, "output": tmp_path / "watch",
                            "distractors": 20, "device": "cpu"} | changes))  # fmt: skip


def test_checkpoints_are_evaluated_once_whatever_happens_to_them(tmp_path: Path, twin: Path) -> None:
    asked = request(tmp_path, twin)
    runs = tmp_path / "runs"
    torch.save(net(0).state_dict(), runs / "a.pth")
    torch.save({"state_dict": net(1).state_dict()}, runs / "b.ckpt")
    said = Said()
    watch = Watch(asked, said)
    watch.forever(sleep=lambda _: None, looks=1)
    assert not watch.history.rows  # nothing has settled
    watch.forever(sleep=lambda _: None, looks=2)
    assert sorted(row.name for row in watch.history.rows) == ["a.pth", "b.ckpt"]
    whole = (runs / "a.pth").read_bytes()
    (runs / "c.pth").write_bytes(whole[: len(whole) // 2])
    growing = Watch(asked, said)

    def write(_: float) -> None:  # still being written at each look
        with (runs / "c.pth").open("ab") as file:
            file.write(b"x")

    growing.forever(sleep=write, looks=3)
    assert len(growing.history.rows) == 2
    (runs / "c.pth").write_bytes(whole)  # the same bytes as a.pth
    (runs / "b.ckpt").unlink()
    torch.save(net(2).state_dict(), runs / "d.pth")
    growing.forever(sleep=lambda _: None, looks=3)
    assert [row.name for row in growing.history.rows][2:] == ["d.pth"]
    again = Watch(asked, said)
    again.once()
    assert len(again.history.rows) == 3
    table = pd.read_csv(tmp_path / "watch" / "history.csv")
    wanted = {"rank1", "rank1_low", "rank1_high", "ap", "log_rank", "effective_rank", "rankme", "uniformity",
              "alignment", "hub_share", "norm_spread"}  # fmt: skip
    assert wanted <= set(table.columns)
    assert table[sorted(wanted)].notna().all(axis=None)
    assert (table["rank1_low"] <= table["rank1"]).all()
    assert (tmp_path / "watch" / "history.png").stat().st_size > 1000
    left = {path.name for path in (tmp_path / "watch").iterdir()}
    assert left == {"history.json", "history.csv", "history.png", "ranks", "evaluations"}
    assert not list((tmp_path / "watch").rglob("*.h5"))


def test_a_run_that_breaks_is_caught_in_the_act(bench: Any, tmp_path: Path, twin: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    torch.save(net(0).state_dict(), runs / "1.pth")
    words = ["watch", runs, "--data", twin, "--output", tmp_path / "watch", "--device", "cpu", "--once", "--json",
             "--fail-on", "nan,collapse"]  # fmt: skip
    fine = bench(*words)
    assert fine.code == 0, fine.err
    assert fine.json[0]["flags"] == []
    collapsed = net(0)
    with torch.no_grad():  # all that is left of an image is the bias of the last norm
        collapsed.tiny4[1].weight.fill_(1e-4)
        collapsed.tiny4[1].bias.fill_(1.0)
    torch.save(collapsed.state_dict(), runs / "2.pth")
    caught = bench(*words)
    assert caught.code == 1
    assert [row["flags"] for row in caught.json] == [[], ["collapse", "drop"]]
    assert "nearly all the same" in caught.err
    state = net(0).state_dict()
    state["tiny2.0.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, runs / "3.pth")
    (runs / "4.pth").write_bytes(b"half")
    watch = Watch(request(tmp_path, twin, output=tmp_path / "other", fail_on=()), Silent())
    watch.once()
    assert {row.name: row.flags for row in watch.history.rows} == {
        "1.pth": [], "2.pth": ["collapse", "drop"], "3.pth": ["nan"], "4.pth": ["unreadable"]}  # fmt: skip


def history(tmp_path: Path, ranks: np.ndarray) -> History:
    kept = History(tmp_path, {"dataset": "x"})
    named = pd.Series(ranks, index=pd.Index([f"q{place}" for place in range(len(ranks))], name="query"))
    figures = {"log_rank": float(np.log(ranks).mean()), "ap": float((1 / ranks).mean()), "rankme": 40.0}
    kept.add(Row(name="best", sha256="0" * 64, changed=0.0, figures=figures), named)
    return kept


def judged(kept: History, ranks: np.ndarray, **figures: float) -> list[str]:
    named = pd.Series(ranks, index=pd.Index([f"q{place}" for place in range(len(ranks))], name="query"))
    told = {"ap": float((1 / ranks).mean()), "rankme": 40.0} | figures
    return flags_of(told, named, kept)[0]


def test_a_drop_is_flagged_where_it_is_significant_and_large(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ranks = np.exp(rng.uniform(0, 4, 300)).round() + 0.0
    kept = history(tmp_path, ranks)
    assert judged(kept, ranks) == []
    assert judged(kept, ranks * 2) == ["drop"]
    assert judged(kept, ranks * 1.01) == []  # significant, and less than a point of AP
    noise = ranks * np.exp(rng.normal(0, 0.5, 300))
    assert judged(kept, noise) == []
    assert judged(kept, ranks, rankme=10.0) == ["collapse"]
    assert judged(kept, ranks, hub_share=0.5) == ["collapse"]
    assert judged(kept, ranks, finite=0.0) == ["nan"]


@pytest.mark.parametrize(
    ("queries", "share", "said"),
    [(20, 0.25, []), (20, 0.5, ["collapse"]), (1000, 0.21, []), (1000, 0.25, ["collapse"])],
)
def test_a_hub_among_few_queries_may_be_chance(tmp_path: Path, queries: int, share: float, said: list[str]) -> None:
    ranks = np.arange(1, queries + 1) + 0.0
    assert judged(history(tmp_path, ranks), ranks, hub_share=share) == said


def test_false_alarms_of_drops_stay_below_alpha(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal methods on 200 queries: their ranks differ by chance, AP often by more than a point."""
    monkeypatch.setattr("sysu30k_bench.training.watch.history._curve", lambda rows: b"")  # noqa: ARG005
    rng = np.random.default_rng(1)
    alarms = 0
    for number in range(200):
        skill = rng.uniform(0, 4, 200)
        first, second = np.exp(np.maximum(0, skill + rng.normal(0, 0.7, (2, 200))))
        alarms += "drop" in judged(history(tmp_path / str(number), first), second)
    assert alarms <= 6  # 2 are expected


def test_what_is_refused(tmp_path: Path, twin: Path) -> None:
    with pytest.raises(UsageError, match="no flag"):
        Watch(request(tmp_path, twin, fail_on=["smoke"]), Silent())
    torch.save(net(0).state_dict(), tmp_path / "runs" / "a.pth")
    Watch(request(tmp_path, twin), Silent()).once()
    with pytest.raises(IntegrityError, match="another task") as caught:
        Watch(request(tmp_path, twin, distractors=5), Silent())
    assert caught.value.details == ["distractors was '20' and is '5'"]
    (tmp_path / "watch" / "history.json").write_text(json.dumps({"task": {}, "rows": 3}))
    with pytest.raises(IntegrityError, match="damaged"):
        Watch(request(tmp_path, twin), Silent())
