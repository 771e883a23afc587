"""A network shared by two processes, and one that evaluates while the other does not wait."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import sysu30k_bench as sb
from tests.conftest import Outcome
from tests.test_ranks import start


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())


def together(said: Path) -> None:
    from torch import distributed

    distributed.init_process_group("gloo")
    rank, data = distributed.get_rank(), said.parent / "own-twin"
    wrapped = nn.parallel.DistributedDataParallel(nn.Sequential(network(), nn.BatchNorm1d(32)))
    alone = sb.evaluate(wrapped, data=data, height=32, width=16, batch_size=4) if rank == 0 else None
    shared = sb.evaluate(wrapped, data=data, height=32, width=16, batch_size=4, distributed=True)
    metric = sb.RetrievalMetric(distributed=True)
    rows = torch.eye(6)
    mine = [0, 1, 2, 3] if rank == 0 else [3, 4, 5]  # a sampler gives the fourth to both
    for role, camera in (("query", 1), ("gallery", 2)):
        names = [f"{role}-{n}" for n in mine]
        metric.update(rows[mine], mine, [camera] * len(mine), role=role, names=names)  # type: ignore[arg-type]
    same = alone is None or alone.ranking.equals(shared.ranking)
    fault = ""
    try:
        sb.evaluate(lambda x: x.flatten(1) * (1 - rank), data=data, height=32, width=16, batch_size=2, distributed=True)
    except sb.BenchError as error:
        fault = error.message
    joined = metric.result()
    out = [shared.metrics, same, fault, joined.rank1.value, joined.rank1.n, joined.record.counts.gallery]  # type: ignore[union-attr]
    said.write_text(json.dumps(out))
    distributed.destroy_process_group()


def test_two_processes_share_a_network_and_get_one_result(
    bench: Callable[..., Outcome], own_twin: Path, tmp_path: Path
) -> None:
    assert own_twin == tmp_path / "own-twin"
    first, second = (json.loads(said) for said in start(bench, together, tmp_path))
    assert first == second
    metrics, same, fault, rank1, queries, gallery = first
    assert metrics["rank1"] > 0
    assert same
    assert "zero, NaN or infinite" in fault  # of one process, and told to both
    assert (rank1, queries, gallery) == (1.0, 6, 6)
