"""The rehearsal: runs on drawn people become rows of a practice board, which is checked and rendered."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sysu30k_bench.board.practice import MARK_NAME, PracticeMark, read_mark
from sysu30k_bench.board.render import write_board
from sysu30k_bench.board.rows import EVIDENCE, ROWS
from sysu30k_bench.board.submit import Claim, prepare
from sysu30k_bench.files import write_atomically
from sysu30k_bench.models.card import Supervision
from sysu30k_bench.progress import Progress
from sysu30k_bench.report.page import make_report
from sysu30k_bench.results.record import RESULT_NAME, read_record


def can_draw() -> bool:
    """Returns whether matplotlib is installed, which the report and the site's plot need."""
    return find_spec("matplotlib") is not None


def claim_of(name: str, method: str, weights: str) -> Claim:
    """Returns what the demonstration claims about one of its networks."""
    supervision: Supervision = "none" if name == "colour_stripes" else "generalization"
    return Claim(name, method, supervision, "sysu30k-bench demo", "the demonstration", weights)


def rehearse(board: Path, runs: Sequence[tuple[Path, Claim]], progress: Progress) -> list[Path]:
    """Submits runs to a practice board, checks every row, and renders the board.

    Args:
        board: The practice board's folder; its rows of these ids are made again.
        runs: Run folders on drawn people, and what is claimed of each.
        progress: Told of shards read.

    Returns:
        The files made: tables, and the site's first page where matplotlib is installed.

    Raises:
        BenchError: As `submit`, `leaderboard check` and `leaderboard render`.
    """
    made = [prepare(run, claim, progress, practice=True) for run, claim in runs]
    mark = PracticeMark.of(read_record(runs[0][0] / RESULT_NAME))
    _make_room(board, [claim.id for _, claim in runs], mark)
    for submission in made:
        submission.write(board)
    return write_board(board, board / "site" if can_draw() else None)


def write_report(run: Path) -> Path:
    """Writes the HTML page of a run with its pictures, which show nobody here.

    Args:
        run: The run folder.

    Returns:
        The page.
    """
    path = run / "report-local.html"
    write_atomically(path, make_report(run, images=True).encode())
    return path


def _make_room(board: Path, names: Sequence[str], mark: PracticeMark) -> None:
    """Removes what an earlier demonstration left; rows that somebody rehearsed on the same lists stay."""
    if not board.exists() or (found := read_mark(board)) is None:
        return
    for name in names:
        (board / ROWS / f"{name}.json").unlink(missing_ok=True)
        (board / EVIDENCE / f"{name}.csv").unlink(missing_ok=True)
    if found != mark and not any((board / ROWS).glob("*.json")):
        write_atomically(board / MARK_NAME, (mark.model_dump_json(indent=1) + "\n").encode())
