"""The gate of the board: what a maintainer's build says to a submission, one line a fault."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from pydantic import ValidationError

from sysu30k_bench.board.confirmation import (
    CONFIRMATIONS,
    KINDS,
    NEEDED,
    faults_of,
    read_confirmation,
)
from sysu30k_bench.board.rows import SCORES, Row, parse_row
from sysu30k_bench.board.submit import EVIDENCE, ROWS
from sysu30k_bench.data.published import published_counts
from sysu30k_bench.errors import BenchError, DataError
from sysu30k_bench.files import sha256_of_file
from sysu30k_bench.metrics.per_query import per_query_metrics
from sysu30k_bench.search.ranking import Ranking, read_ranking

MAX_ROW_BYTES = 64 << 10
MAX_EVIDENCE_BYTES = 1 << 20
_PRECISION = 1e-12
_LONGEST = 300
_FORMULAS = ("=", "+", "-", "@")


def check_board(board: Path, before: Container[str] = ()) -> list[str]:
    """Checks every row of a board.

    Args:
        board: The folder that holds `rows/` and `evidence/`.
        before: Ids of rows that stood before a change: their lists are the gallery's.

    Returns:
        One line a fault, in the order of the files; none where all is well.

    Raises:
        DataError: There is no board.
    """
    folder = board / ROWS
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", hint="point it at the folder that holds rows/")
    faults = [
        f"{name}: a link, not a folder" for name in (ROWS, EVIDENCE, CONFIRMATIONS) if (board / name).is_symlink()
    ]
    if faults:
        return faults
    rows = read_rows(board, faults)
    faults += _stray(board, rows)
    for row in rows.values():
        if row.evidence is not None:
            faults += [f"{ROWS}/{row.id}.json: {printed(one)}" for one in backing_faults(board, row)]
    faults += _confirmed(board, rows)
    return faults + _of_one_list([row for row in rows.values() if row.evidence is not None], before, board / EVIDENCE)


def read_rows(board: Path, faults: list[str]) -> dict[str, Row]:
    """Reads every row that is one, by id.

    Args:
        board: The folder that holds `rows/`.
        faults: Where to put what is wrong with the others.
    """
    found = {path.stem: _row(path, faults) for path in sorted((board / ROWS).iterdir())}
    return {name: row for name, row in found.items() if row is not None}


def _stray(board: Path, rows: dict[str, Row]) -> list[str]:
    """Names files that are no row's evidence; those of rows whose own faults are told are passed over."""
    faults = []
    folder = board / EVIDENCE
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        plain = path.suffix == ".csv" and path.is_file() and not path.is_symlink()
        if path.stem in rows and rows[path.stem].evidence is None:
            faults.append(f"{EVIDENCE}/{printed(path.name)}: its row is only reported")
        elif not plain or not (board / ROWS / f"{path.stem}.json").is_file():
            faults.append(f"{EVIDENCE}/{printed(path.name)}: no row's evidence")
    return faults


def printed(text: str) -> str:
    """Makes names and messages of strangers fit for a log, where a line could be a command."""
    kept = text if text.isprintable() else ascii(text)[1:-1]
    return kept if len(kept) <= _LONGEST else kept[:_LONGEST] + " ..."


def _row(path: Path, faults: list[str]) -> Row | None:
    name = f"{ROWS}/{ascii(path.name)[1:-1]}"
    if path.is_symlink() or not path.is_file() or path.suffix != ".json":
        faults.append(f"{name}: not a plain .json file")
        return None
    if path.stat().st_size > MAX_ROW_BYTES:
        faults.append(f"{name}: larger than {MAX_ROW_BYTES:,} bytes")
        return None
    try:
        row = parse_row(path.read_bytes())
    except ValidationError as error:
        for one in error.errors():
            where = ".".join(map(str, one["loc"])) or "row"
            faults.append(f"{name}: {printed(where)}: {printed(one['msg'])}")
        return None
    except ValueError as error:
        faults.append(f"{name}: not JSON of a row: {ascii(str(error))[1:-1][:100]}")
        return None
    if row.id != path.stem:
        faults.append(f"{name}: its id is {row.id}")
        return None
    return row


def _confirmed(board: Path, rows: dict[str, Row]) -> list[str]:
    """Looks at what maintainers found, and for what statuses say that they did."""
    faults = []
    there = set()
    folder = board / CONFIRMATIONS
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        name, _, kind = path.name.removesuffix(".json").rpartition(".")
        if name not in rows or kind not in KINDS or path.suffix != ".json":
            faults.append(f"{CONFIRMATIONS}/{printed(path.name)}: no row's confirmation")
            continue
        try:
            found = read_confirmation(path)
            mismatch = ["its name says otherwise"] if found.kind != kind else faults_of(rows[name], found)
        except ValueError as error:
            mismatch = [str(error)]
        faults += [f"{CONFIRMATIONS}/{path.name}: {printed(one)}" for one in mismatch]
        there.add((name, kind))
    for row in rows.values():
        needed = NEEDED.get(row.status)
        if needed is not None and (row.id, needed) not in there:
            faults.append(f"{ROWS}/{row.id}.json: {row.status}, and there is no {CONFIRMATIONS}/{row.id}.{needed}.json")
    return faults


def backing_faults(board: Path, row: Row, *, protocol: bool = True) -> list[str]:
    """Recomputes a row from its evidence, and says what does not fit.

    Args:
        board: The folder that holds `rows/` and `evidence/`.
        row: A row with evidence.
        protocol: Whether the ranking must be one of the published lists, too.
    """
    path = board / EVIDENCE / f"{row.id}.csv"
    if path.is_symlink() or not path.is_file():
        return [f"there is no {EVIDENCE}/{path.name}"]
    if path.stat().st_size > MAX_EVIDENCE_BYTES:
        return [f"{EVIDENCE}/{path.name} is larger than {MAX_EVIDENCE_BYTES:,} bytes"]
    if row.evidence is not None and sha256_of_file(path) != row.evidence.ranking_sha256:
        return [f"{EVIDENCE}/{path.name} is not the file that the row was made of"]
    try:
        ranking = read_ranking(path)
    except BenchError as error:
        return [error.message.replace(str(path), f"{EVIDENCE}/{path.name}")]
    # numbers of other galleries are not computed: a line of a forged one could ask for gigabytes
    faults = _protocol(row, ranking) if protocol else []
    return faults or _names(ranking) or _scores(row, ranking)


def _names(ranking: Ranking) -> list[str]:
    """Keys end up in tables, logs and spreadsheets, as the words of a row do."""
    keys = dict.fromkeys([*ranking.table["query"], *ranking.table["match"]])
    odd = [key for key in keys if not key.isprintable() or key.startswith(_FORMULAS) or len(key) > _LONGEST]
    return [f"keys with control characters, of formulas, or too long: {ascii(odd[0])[:60]}"] if odd else []


def _scores(row: Row, ranking: Ranking) -> list[str]:
    means = per_query_metrics(ranking.query_keys, ranking.matched).mean()
    faults = []
    for name in SCORES:
        claimed, value = getattr(row, name), float(means[name])
        if claimed is None or abs(claimed - value) > _PRECISION:
            faults.append(f"{name} is {claimed} and the evidence gives {value}")
    return faults


def _protocol(row: Row, ranking: Ranking) -> list[str]:
    faults = []
    published = published_counts()["sysu30k"]
    queries = ranking.query_keys
    if len(queries) != published.query or row.n != published.query:
        faults.append(f"{len(queries):,} queries, n = {row.n:,}; SYSU-30k has {published.query:,}")
    if len(ranking.table) != len(queries) or ranking.unmatched:
        faults.append("not every query has exactly one match")
    sizes = {reading.count for reading in published.gallery}
    other = sorted(set(ranking.table["ranked"].tolist()) - sizes)
    if other or ranking.table["ranked"].nunique() > 1:
        found = ", ".join(f"{size:,}" for size in other[:3]) or "galleries of several sizes"
        faults.append(f"ranked {found}; SYSU-30k's gallery has {' or '.join(f'{size:,}' for size in sorted(sizes))}")
    return faults


def _of_one_list(rows: list[Row], before: Container[str], evidence: Path) -> list[str]:
    """Nobody has published a fingerprint: whoever was there first set the lists of a gallery."""
    faults = []
    first: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row.id not in before, row.id)):
        if row.evidence is None:
            continue
        known = first.setdefault(row.evidence.gallery_fingerprint, row)
        if known.evidence is not None and known.evidence.query_fingerprint != row.evidence.query_fingerprint:
            faults.append(f"{ROWS}/{row.id}.json: other queries than {known.id} on the same gallery")
        elif known is not row and _queries(evidence, known) != _queries(evidence, row):
            faults.append(f"{ROWS}/{row.id}.json: its evidence is of other queries than that of {known.id}")
    return faults


def _queries(evidence: Path, row: Row) -> set[tuple[str, int]] | None:
    """Queries and how many images each ranks; None where they cannot be read, which is told elsewhere."""
    try:
        table = read_ranking(evidence / f"{row.id}.csv").table
    except BenchError:
        return None
    return set(zip(table["query"].tolist(), table["ranked"].tolist(), strict=True))
