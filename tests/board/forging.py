"""Boards with the rows of real runs on a twin, and runs that a forger changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sysu30k_bench.board.audit.confirm import ConfirmRequest, audit_row, plan_row_audit
from sysu30k_bench.board.audit.confirmation import Findings
from sysu30k_bench.board.rows import SCORES, Row, row_bytes
from sysu30k_bench.board.submit import prepare_evidence
from sysu30k_bench.embeddings.manifest import read_manifest
from sysu30k_bench.embeddings.shard import encode_shard, read_shard
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.progress import Silent
from sysu30k_bench.results.record import EvaluationRecord
from tests.conftest import Outcome
from tests.sealing import reseal

Bench = Callable[..., Outcome]


def board_of(run: Path, folder: Path, status: str = "self-reported", **changes: Any) -> Path:
    """A board with the row of a run, as `submit` would write it if the twin were the published test."""
    record = EvaluationRecord.model_validate_json((run / "result.json").read_bytes())
    evidence = prepare_evidence(run, record).model_copy(update=changes)
    row = Row(
        id="mine",
        method="Mine",
        supervision="none",
        n=record.metrics.rank1.n,
        status=status,
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


def done(request: ConfirmRequest) -> Findings:
    return audit_row(request, plan_row_audit(request, Silent()), Silent()).found


def words_for(name: str, run: Path, twin: Path, checkpoint: Path, board: Path) -> list[object]:
    return ["leaderboard", name, "mine", "--checkpoint", checkpoint, "--data", twin, "--board", board,
            *(["--run", run] if name == "audit" else [run]), "--nonce", "a later commit"]  # fmt: skip


def forge(run: Path, change: Callable[[dict[str, list[np.ndarray]]], None]) -> None:
    """Changes a run's embeddings and everything in its stores that is computed from them."""
    shards = {role: sorted((run / "embeddings" / role).glob("*.h5")) for role in ("query", "gallery")}
    read = {role: [read_shard(path) for path in paths] for role, paths in shards.items()}
    embeddings = {role: [shard.embedding.copy() for shard in found] for role, found in read.items()}
    change(embeddings)
    stores = {}
    for role, paths in shards.items():
        manifest = read_manifest(run / "embeddings" / role)
        assert manifest is not None
        entries = []
        for path, shard, embedding, entry in zip(paths, read[role], embeddings[role], manifest.shards, strict=True):
            forged = replace(shard, embedding=embedding)
            path.write_bytes(encode_shard(forged, manifest.identity.digest))
            entries.append(entry.model_copy(update={"content_sha256": forged.content_digest}))
        manifest.model_copy(update={"shards": entries}).write(run / "embeddings" / role)
        stores[role] = sha256_of_file(run / "embeddings" / role / "manifest.json")
    reseal(run / "export.json", stores=stores)


def scored_anew(bench: Bench, run: Path) -> None:
    for step in ("search", "score"):
        assert bench(step, run).code == 0


def mirror_one(embeddings: dict[str, list[np.ndarray]]) -> None:
    embeddings["query"][0][3] = embeddings["query"][0][3][::-1]
