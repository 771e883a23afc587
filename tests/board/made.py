"""Boards for tests: rows with rankings of a full-size gallery, without any network."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from sysu30k_bench.board.rows import SCORES, Evidence, Row, row_bytes
from sysu30k_bench.files import sha256_of_file, sha256_of_text
from sysu30k_bench.metrics.summary import summarise
from sysu30k_bench.results.build import metrics_of
from sysu30k_bench.search.ranking import COLUMNS, Ranking, read_ranking

GALLERY = 478_731
PUBLISHED = Path(__file__).parents[2] / "leaderboard" / "rows"


def query_key(number: int) -> str:
    """The key of a query, as the published list would have it."""
    return f"query/{28311 + number:09}/{28311 + number:09}_c2_2.jpg"


def write_evidence(path: Path, ranks: list[int], *, gallery: int = GALLERY, seed: int = 0) -> Path:
    """A ranking that a search could have written: one match a query at the given ranks, with margins that fit them."""
    rng = np.random.default_rng([seed, len(ranks), sum(ranks)])
    rank = np.array(ranks)
    score = rng.uniform(0.3, 0.9, len(ranks))
    margin = rng.uniform(0.001, 0.2, len(ranks)) * np.where(rank == 1, 1, -0.3)
    keys = [query_key(number) for number in range(len(ranks))]
    matches = [f"gallery/{key[6:15]}/{key[6:15]}_c1_1.jpg" for key in keys]
    table = pd.DataFrame(
        dict(zip(COLUMNS, (keys, matches, rank, rank, np.full(len(rank), gallery), score, margin), strict=True))
    ).astype({"rank_low": "Int64", "rank_high": "Int64"})
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Ranking(table).write(path.parent)
    return made.rename(path)


def ranks_of(solved: int, seed: int, scale: float = 200.0, queries: int = 1000) -> list[int]:
    """Ranks of one match a query: easy queries first, the same ones for every seed, more or less."""
    rng = np.random.default_rng(seed)
    hardness = np.linspace(-1, 1, queries) + rng.normal(0, 0.25, queries)
    order = np.argsort(hardness, kind="stable")
    ranks = 2 + np.exp(rng.normal(np.log(scale), 1.8, queries)).astype(int)
    ranks[order[:solved]] = 1
    return np.minimum(ranks, GALLERY).tolist()


def add_row(board: Path, name: str, ranks: list[int], method: str | None = None, **changes: object) -> Row:
    """Writes a row that stands, with the ranking that it was made of."""
    evidence = write_evidence(board / "evidence" / f"{name}.csv", ranks)
    metrics = metrics_of(summarise(read_ranking(evidence)))
    row = Row(
        id=name,
        method=method or name,
        supervision="self supervised",
        n=len(ranks),
        status="self-reported",
        source="https://example.org/code",
        claimed_by="somebody",
        weights="epoch 800",
        evidence=Evidence(
            ranking_sha256=sha256_of_file(evidence),
            query_fingerprint=sha256_of_text("query"),
            gallery_fingerprint=sha256_of_text("gallery"),
            shards_root=sha256_of_text(f"{name} shards"),
            shards=59,
            weights_sha256=sha256_of_text(f"{name} weights"),
            card_sha256=sha256_of_text("card"),
            adapter="moco_v2",
            feature="pool5",
            flip="sequential",
            dimension=2048,
            compute="fp32",
            storage="float32",
            protocol_sha256=sha256_of_text("protocol"),
            tool="sysu30k-bench 0.1.0",
        ),
        **{score: getattr(metrics, score).value for score in SCORES},
    ).model_copy(update=changes)
    (board / "rows").mkdir(exist_ok=True)
    (board / "rows" / f"{name}.json").write_bytes(row_bytes(row))
    return row


def published_board(folder: Path) -> Path:
    """The published rows and three made-up submissions."""
    shutil.copytree(PUBLISHED, folder / "rows")
    for name, solved in (("alpha", 310), ("beta", 300), ("gamma", 160)):
        add_row(folder, name, ranks_of(solved, solved), name.title())
    return folder
