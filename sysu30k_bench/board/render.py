"""The board as tables in many forms and as a static site: made of its rows and their evidence alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sysu30k_bench.board.audit.confirmation import confirmations_of
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.groups import Apart, read_evidence, significance, tie_groups
from sysu30k_bench.board.model_index import model_index
from sysu30k_bench.board.practice import SENTENCE, Rules, rules_of
from sysu30k_bench.board.rows import Row, in_order, parse_row, row_schema
from sysu30k_bench.board.submit import EVIDENCE, ROWS, row_bytes
from sysu30k_bench.errors import CheckFailedError
from sysu30k_bench.files import write_atomically
from sysu30k_bench.metrics.intervals import wilson
from sysu30k_bench.results.ranked_run import RankedRun
from sysu30k_bench.words import count

_HEAD = """# Leaderboard of SYSU-30k

Made by `sysu30k-bench leaderboard render` of the files in `rows/`; do not edit it. Rank-1 with Wilson's 95 % interval
over n queries. Rows of one group do not differ significantly from its first row (p of 0.05 or more after Holm's
correction over all pairs of rows; exact McNemar test where both have rankings of the same queries, else independent
proportions): their order may be chance. `reported` is a claim without a ranking. The date is when a number was stated,
as far as it is known.

"""

_PRACTICE_HEAD = f"# Practice board\n\n**{SENTENCE}.**\n\n"


@dataclass(frozen=True)
class Board:
    """A board whose rows stand.

    Attributes:
        folder: The folder that holds `rows/` and `evidence/`.
        rows: Best first.
        evidence: Rankings, by id, in the same order.
        tests: Of every pair of rows, by both ids.
        groups: Number of each row's group, by id.
        rules: What its rows must be.
    """

    folder: Path
    rows: list[Row]
    evidence: dict[str, RankedRun]
    tests: dict[tuple[str, str], Apart]
    groups: dict[str, int]
    rules: Rules

    @classmethod
    def open(cls, folder: Path) -> Board:
        """Checks and reads a board.

        Raises:
            CheckFailedError: A row does not stand.
            DataError: There is no board.
        """
        faults = check_board(folder)
        if faults:
            raise CheckFailedError(f"{count(len(faults), 'fault')}: nothing was rendered", details=faults)
        rows = in_order([parse_row(path.read_bytes()) for path in (folder / ROWS).glob("*.json")])
        evidence = read_evidence(folder, rows)
        tests = significance(rows, evidence)
        return cls(folder, rows, evidence, tests, tie_groups(rows, tests), rules_of(folder))


def render(board: Board) -> dict[str, bytes]:
    """Makes every table of a board.

    Args:
        board: The board.

    Returns:
        Contents by file name, relative to the board.
    """
    table = as_table(board.rows, board.groups)
    return {
        "README.md": (_head(board.rules) + _markdown(table, board.rows)).encode(),
        "row.schema.json": row_schema().encode(),
        **_files(board.rows, table),
    }


def render_site(board: Board) -> dict[str, bytes]:
    """Makes the static site of a board.

    Args:
        board: The board.

    Returns:
        Contents by file name, relative to the site's folder: pages, and under `data/` the rows, rankings and tables
        that they link to.

    Raises:
        DataError: matplotlib is not installed.
    """
    from sysu30k_bench.board.site.pages import pages

    rows, evidence = board.rows, board.evidence
    entries = {row.id: _bibtex_of(row) for row in rows if row.paper is not None}
    files = _files(rows, as_table(rows, board.groups))
    files |= {f"rows/{row.id}.json": row_bytes(row) for row in rows}
    files |= {f"evidence/{name}.csv": (board.folder / EVIDENCE / f"{name}.csv").read_bytes() for name in evidence}
    confirmed = {row.id: [one.summary for one in confirmations_of(board.folder, row)] for row in rows}
    made = pages(rows, board.groups, board.tests, evidence, entries, confirmed, board.rules)
    return made | {f"data/{name}": content for name, content in files.items()}


def _head(rules: Rules) -> str:
    return _PRACTICE_HEAD + _HEAD.partition("\n\n")[2] if rules.practice else _HEAD


def _files(rows: list[Row], table: pd.DataFrame) -> dict[str, bytes]:
    listed = [row.model_dump(mode="json", exclude_none=True) for row in rows]
    return {
        "leaderboard.csv": table.to_csv(index=False, lineterminator="\n").encode(),
        "leaderboard.json": (json.dumps(listed, indent=1, ensure_ascii=False) + "\n").encode(),
        "leaderboard.tex": _latex(table).encode(),
        "leaderboard.bib": "\n".join(_bibtex_of(row) for row in rows if row.paper is not None).encode(),
        **{f"model-index/{row.id}.yml": model_index(row) for row in rows},
    }


_COLUMNS = ["group", "method", "supervision", "rank-1", "low", "high", "rank5", "rank10", "ap_standard", "ap_trapezoid",
            "n", "status", "date", "id"]  # fmt: skip


def as_table(rows: list[Row], groups: Mapping[str, int]) -> pd.DataFrame:
    """Lays rows out, best first, with intervals and groups; scores in per cent.

    Args:
        rows: In order.
        groups: Number of each row's group, by id.
    """
    lines = []
    for row in rows:
        interval = wilson(row.rank1 * row.n, row.n)
        line: dict[str, object] = {
            "group": groups[row.id],
            "method": row.method,
            "supervision": row.supervision,
            "rank-1": round(row.rank1 * 100, 2),
            "low": round(interval.low * 100, 2),
            "high": round(interval.high * 100, 2),
        }
        for name in ("rank5", "rank10", "ap_standard", "ap_trapezoid"):
            value = getattr(row, name)
            line[name] = None if value is None else round(value * 100, 2)
        status = f"practice, {row.status}" if row.practice else row.status
        lines.append({**line, "n": row.n, "status": status, "date": row.date, "id": row.id})
    return pd.DataFrame(lines, columns=_COLUMNS)


def _markdown(table: pd.DataFrame, rows: list[Row]) -> str:
    headings = ["group", "method", "supervision", "rank-1 %", "95 % interval", "rank-5", "rank-10"]
    headings += ["AP (standard)", "AP (trapezoid)", "status", "date"]
    lines = [f"| {' | '.join(headings)} |", "|" + " --- |" * len(headings)]
    for cells, row in zip(table.to_dict("records"), rows, strict=True):
        name = _plain(row.method)
        method = f"[{name}]({row.paper.url})" if row.paper and row.paper.url else name
        scores = [_cell(cells[name]) for name in ("rank5", "rank10", "ap_standard", "ap_trapezoid")]
        interval = f"{cells['low']:.1f} to {cells['high']:.1f}"
        words = [str(cells["group"]), method, row.supervision, f"{cells['rank-1']:.1f}", interval, *scores]
        words += [str(cells["status"]), row.date or ""]
        lines.append(f"| {' | '.join(words)} |")
    lines += ["", "Sources:", ""]
    lines += [
        f"- {_plain(row.method)}: {_plain(row.source)}; claimed by {_plain(row.claimed_by)}. "
        f"Weights: {_plain(row.weights)}."
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Takes from a submitter's words what Markdown would make links, pictures or emphasis of."""
    return re.sub(r"([\\\[\]!*_~])", r"\\\1", text)


def _cell(value: object) -> str:
    return "" if pd.isna(value) else f"{value:.1f}"  # type: ignore[call-overload]


def _latex(table: pd.DataFrame) -> str:
    shown = table[["method", "supervision", "rank-1", "low", "high", "status"]]
    made: str = shown.to_latex(index=False, escape=True, float_format="%.1f")
    return made


def _bibtex_of(row: Row) -> str:
    if row.paper is None:
        return ""
    year = f",\n  year = {{{row.paper.year}}}" if row.paper.year else ""
    link = f",\n  url = {{{row.paper.url}}}" if row.paper.url else ""
    # braces count in BibTeX even where TeX would not see them: one alone would swallow the entries after it
    title = re.sub(r"([%&#_$])", r"\\\1", re.sub(r"[{}\\^~]", "", row.paper.title))
    return f"@misc{{{row.id},\n  title = {{{{{title}}}}}{year}{link}\n}}\n"


_TABLES = ("README.md", "row.schema.json", *(f"leaderboard.{form}" for form in ("csv", "json", "tex", "bib")))


def generated_names(ids: Iterable[str]) -> frozenset[str]:
    """Names of everything that `render` makes of rows with these ids, and of nothing else."""
    return frozenset([*_TABLES, *(f"model-index/{name}.yml" for name in ids)])


_BOARD_PARTS = ("model-index/*.yml",)
_SITE_PARTS = ("rows/*.html", "data/rows/*.json", "data/evidence/*.csv", "data/model-index/*.yml")


def write_board(folder: Path, site: Path | None = None) -> list[Path]:
    """Renders a board into its folder, and its site into another; pages of rows that are gone are removed.

    Args:
        folder: The folder that holds `rows/` and `evidence/`.
        site: The site's folder; none is made where None.

    Returns:
        The tables, and the site's first page.

    Raises:
        CheckFailedError: A row does not stand; nothing was written.
        DataError: There is no board, or matplotlib is not installed.
    """
    board = Board.open(folder)
    tables = render(board)
    made = render_site(board) if site is not None else {}
    for path in _left_over(folder, _BOARD_PARTS, tables):
        path.unlink()
    for name, content in tables.items():
        write_atomically(folder / name, content)
    paths = [folder / name for name in tables]
    if site is None:
        return paths
    if (site / "data" / "leaderboard.json").is_file():  # a site of this program, not somebody's other pages
        for path in _left_over(site, _SITE_PARTS, made):
            path.unlink()
    for name, content in made.items():
        write_atomically(site / name, content)
    return [*paths, site / "index.html"]


def stale_files(folder: Path) -> list[str]:
    """Names the files of a board that are not what its rows give.

    Args:
        folder: The folder that holds `rows/` and `evidence/`.

    Raises:
        CheckFailedError: A row does not stand.
        DataError: There is no board.
    """
    made = render(Board.open(folder))
    changed = [name for name, content in made.items() if not _holds(folder / name, content)]
    return changed + [path.relative_to(folder).as_posix() for path in _left_over(folder, _BOARD_PARTS, made)]


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _left_over(folder: Path, parts: Iterable[str], made: Mapping[str, bytes]) -> list[Path]:
    """Files of rows that are gone."""
    found = sorted(path for part in parts for path in folder.glob(part))
    return [path for path in found if path.relative_to(folder).as_posix() not in made]
