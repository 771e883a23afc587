"""What strangers send to a board, and the documents of a run folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from benchmarks.fuzz.mutate import linewise
from benchmarks.fuzz.target import Target, Violation, as_file, as_folder
from sysu30k_bench.board.audit.confirmation import read_confirmation
from sysu30k_bench.board.checks.check import check_board
from sysu30k_bench.board.rows import parse_row
from sysu30k_bench.errors import BenchError
from sysu30k_bench.evaluation.step_notes import ExportNotes, SearchNotes, read_notes
from sysu30k_bench.results.ranked_run import read_run
from sysu30k_bench.results.record import read_record
from sysu30k_bench.search.ranking import read_ranking
from sysu30k_bench.search.top_list import read_top


def _board(root: Path) -> object:
    faults = check_board(root)
    for fault in faults:
        if not fault.isprintable():
            raise Violation(f"a fault that a log would run: {fault!r}")
    return faults


def _run(root: Path) -> object:
    for name, kind in (("export.json", ExportNotes), ("search.json", SearchNotes)):
        with suppress(BenchError):
            read_notes(root / name, kind, "export")
    with suppress(BenchError):
        read_top(root)
    return read_run(root)


TARGETS = (
    Target("row", lambda path: parse_row(path.read_bytes()), as_file("row.json"), linewise, refusals=(ValueError,)),
    Target("confirmation", read_confirmation, as_file("a.audit.json"), linewise, refusals=(ValueError,)),
    Target("ranking", read_ranking, as_file("ranking.csv"), linewise),
    Target("top", lambda root: read_top(root), as_folder, linewise),
    Target("record", read_record, as_file("result.json"), linewise),
    Target("board", _board, as_folder, linewise),
    Target("run", _run, as_folder, linewise),
)
